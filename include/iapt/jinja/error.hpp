// SPDX-License-Identifier: Apache-2.0
// What a template throws, and the limits within which it is parsed and rendered.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"

namespace iapt::jinja {

/// A template that cannot be parsed or rendered. The message has the template's name and the line.
struct template_error : error {
  /// Makes the message "NAME, line LINE: WHAT".
  template_error(std::string_view name, std::size_t at, std::string_view what)
      : error(std::string(name) + ", line " + std::to_string(at) + ": " + std::string(what)), line(at) {}
  std::size_t line;  ///< line of the template, from 1
};

/// The template called `raise_exception`: it refuses the conversation. A server gives `message` to its client.
struct raised : template_error {
  /// Keeps the template's message apart.
  raised(std::string_view name, std::size_t at, std::string text)
      : template_error(name, at, "the template raised: " + text), message(std::move(text)) {}
  std::string message;  ///< what the template said, without name and line
};

/// Bounds of one render. An error names the limit that it would exceed.
struct limits {
  std::uint64_t steps = 10'000'000;                 ///< work: nodes evaluated, elements visited, texts of 16 bytes made
  std::size_t output_bytes = std::size_t{1} << 24;  ///< size of the rendered text
  std::size_t value_bytes = std::size_t{1} << 24;   ///< size of any one text
  std::size_t depth = 1000;                         ///< nested nodes that are evaluated at once, through macros too
};

/// Nested statements and expressions that a template may have in its source.
inline constexpr std::size_t deepest_source = 200;
/// Nested lists and dicts that a value may have.
inline constexpr std::size_t deepest_value = 200;

namespace detail {

// An operation that is refused. It does not know where in the template it stands; `program` adds name and line.
struct refusal : error {
  using error::error;
};
// The message of raise_exception, on its way to `program`.
struct raised_message : error {
  using error::error;
};

}  // namespace detail
}  // namespace iapt::jinja
