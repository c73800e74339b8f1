// SPDX-License-Identifier: Apache-2.0
// Describes the options of a method once, for files, command lines and checks.
#pragma once
#include <array>
#include <concepts>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"

namespace iapt {

/// Values by name, in a file's order.
template <class V>
using numbers_by_name = std::vector<std::pair<std::string, V>>;
/// Whether a type is numbers_by_name of some type.
template <class V>
inline constexpr bool is_numbers_by_name = false;
/// True for numbers_by_name.
template <class V>
inline constexpr bool is_numbers_by_name<numbers_by_name<V>> = true;

/// Names and bounds of one option. A method's options have a static `visit(options, f)` that calls f(option, value) for
/// each option. A value is a number, a bool, an enumeration with names_of, a list of names, or numbers_by_name.
struct option {
  const char* key;            ///< key in adapter_config.json; empty if it concerns the initial values only
  const char* flag;           ///< flag on command lines, without dashes; empty if there is none
  const char* help;           ///< description for users, a few words
  double least = 0;           ///< smallest value of a number
  double most = 0;            ///< largest value of a number
  const char* old_flag = "";  ///< name of the flag in version 0.1, still accepted
};
/// A choice that the type of a method fixes.
struct fixed_option {
  const char* key;    ///< key in adapter_config.json
  const char* flag;   ///< flag on command lines that chooses the type; empty if there is none
  const char* help;   ///< description for users, a few words
  const char* value;  ///< the fixed value
};
/// Another setting that a file of PEFT may have: a key with this value.
struct known_setting {
  std::string_view key;         ///< key in adapter_config.json
  std::string_view value = "";  ///< the value as JSON; empty: any value
};

/// The names of an enumeration's values, in their order.
template <class E>
inline constexpr std::array<std::string_view, 0> names_of{};

/// Calls f(fixed_option) for each choice that a method's type fixes, if any.
template <class Method, class F>
void each_fixed(F f) {
  if constexpr (requires { Method::fixed; })
    for (const fixed_option& o : Method::fixed) f(o);
}
/// Refuses options with numbers out of bounds.
/// @throws shape_error with the option
template <class Options>
void check_bounds(const Options& options) {
  Options::visit(options, [](const option& o, const auto& value) {
    using V = std::remove_cvref_t<decltype(value)>;
    const auto check = [&](const auto& number, const std::string& of) {
      using N = std::remove_cvref_t<decltype(number)>;
      if (double(number) >= o.least && double(number) <= o.most) return;
      std::ostringstream text;
      text << (*o.key ? o.key : o.flag) << of << " must be from " << N(o.least) << " to " << N(o.most) << ", found "
           << number;
      throw shape_error(text.str());
    };
    if constexpr (is_numbers_by_name<V>)
      for (const auto& [name, number] : value) check(number, " of \"" + name + "\"");
    else if constexpr (std::is_arithmetic_v<V> && !std::same_as<V, bool>)
      check(value, "");
  });
}

/// Refuses a text with too few tokens for soft tokens to start from.
/// @throws shape_error with the number of tokens that are needed
template <class Options>
void check_start_text(const Options& options) {
  if (std::int64_t(options.start_text.size()) < options.text_needed())
    throw shape_error("a start from text needs " + std::to_string(options.text_needed()) + " tokens of it, found " +
                      std::to_string(options.start_text.size()) + "; give a longer text or start at random");
}

}  // namespace iapt
