// SPDX-License-Identifier: Apache-2.0
// What a method says about its options, once, for files, command lines and checks alike.
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

/// Numbers by name, in a file's order.
template <class V>
using numbers_by_name = std::vector<std::pair<std::string, V>>;
/// Whether a type is numbers_by_name of something.
template <class V>
inline constexpr bool is_numbers_by_name = false;
/// It is.
template <class V>
inline constexpr bool is_numbers_by_name<numbers_by_name<V>> = true;

/// Names and bounds of one option. A method's options have a static `visit(options, f)` that calls f(option, value) for
/// each; a value is a number, a bool, an enumeration with names_of, a list of names, or numbers_by_name.
struct option {
  const char* key;            ///< in adapter_config.json; empty for what matters at the start alone
  const char* flag;           ///< on command lines, without dashes; empty where it has none
  const char* help;           ///< for people, a few words
  double least = 0;           ///< a number's bounds
  double most = 0;            ///< a number's bounds
  const char* old_flag = "";  ///< the flag's name in version 0.1, still accepted
};
/// A choice that a method's type has made.
struct fixed_option {
  const char* key;    ///< in adapter_config.json
  const char* flag;   ///< on command lines, where it chooses the type; empty where it does not
  const char* help;   ///< for people, a few words
  const char* value;  ///< what the type is
};
/// What else may stand in a file that PEFT wrote: a key with this value, as JSON, or with any where it is empty.
struct known_setting {
  std::string_view key;         ///< in adapter_config.json
  std::string_view value = "";  ///< what it may be
};

/// The names of an enumeration's values, in their order.
template <class E>
inline constexpr std::array<std::string_view, 0> names_of{};

/// Calls f(fixed_option) for each choice that a method's type has made; a method need not have any.
template <class Method, class F>
void each_fixed(F f) {
  if constexpr (requires { Method::fixed; })
    for (const fixed_option& o : Method::fixed) f(o);
}
/// Refuses options whose numbers are out of bounds.
/// @throws shape_error naming the option
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

/// Refuses a text that is too short for soft tokens to start from.
/// @throws shape_error saying how long it must be
template <class Options>
void check_start_text(const Options& options) {
  if (std::int64_t(options.start_text.size()) < options.text_needed())
    throw shape_error("a start from text needs " + std::to_string(options.text_needed()) + " tokens of it, found " +
                      std::to_string(options.start_text.size()) + "; give a longer text or start at random");
}

}  // namespace iapt
