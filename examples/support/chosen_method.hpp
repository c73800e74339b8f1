// SPDX-License-Identifier: Apache-2.0
// A method and its options from their flags.
#pragma once
#include <iapt/core/error.hpp>
#include <iapt/io/method_options.hpp>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace program {

/// The values of the methods' flags by name; empty if a flag was not given.
using method_flags = std::map<std::string, std::string>;

/// Whether a method has this name, and the types that the flags select.
template <class Method>
bool is_chosen(const std::string& method, const method_flags& given) {
  if (method != Method::name) return false;
  bool same = true;
  iapt::each_fixed<Method>([&](const iapt::fixed_option& o) {
    const auto flag = given.find(o.flag);
    same = same && (flag == given.end() || flag->second.empty() || flag->second == o.value);
  });
  return same;
}
/// A method's options from its flags.
/// @throws iapt::error with the name of a flag that the method does not have
template <class Method>
typename Method::options_type options_from(const method_flags& given) {
  typename Method::options_type options;
  std::set<std::string> known;
  iapt::each_fixed<Method>([&](const iapt::fixed_option& o) { known.insert(o.flag); });
  Method::options_type::visit(options, [&]<class V>(const iapt::option& o, V& value) {
    known.insert(o.flag);
    const auto flag = given.find(o.flag);
    if (flag == given.end() || flag->second.empty()) return;
    if constexpr (std::is_same_v<V, bool>)
      value = true;
    else if constexpr (std::is_enum_v<V>)
      value = iapt::value_named<V>(flag->second, "--" + flag->first);
    else if constexpr (std::is_arithmetic_v<V>)
      value = V(std::stod(flag->second));
    else if constexpr (std::is_same_v<V, std::vector<std::string>>) {
      value.clear();
      std::istringstream list(flag->second);
      for (std::string one; std::getline(list, one, ',');) value.push_back(one);
    }
  });
  for (const auto& [flag, value] : given)
    if (!value.empty() && !known.contains(flag))
      throw iapt::error("--" + flag + ": --method " + Method::name + " has no such option");
  return options;
}

}  // namespace program
