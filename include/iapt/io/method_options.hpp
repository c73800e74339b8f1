// SPDX-License-Identifier: Apache-2.0
// Reads and writes a method's options in adapter_config.json.
#pragma once
#include <algorithm>
#include <concepts>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "iapt/io/model_config.hpp"
#include "iapt/peft/option.hpp"

namespace iapt {

/// An option's value as JSON: an integer if it is one, an enumeration by its name.
template <class V>
nlohmann::ordered_json to_json(const V& value) {
  if constexpr (std::is_enum_v<V>)
    return names_of<V>[std::size_t(value)];
  else if constexpr (std::floating_point<V>)
    return value == double(index_t(value)) ? nlohmann::ordered_json(index_t(value)) : nlohmann::ordered_json(value);
  else if constexpr (is_numbers_by_name<V>) {
    auto object = nlohmann::ordered_json::object();
    for (const auto& [name, number] : value) object[name] = to_json(number);
    return object;
  } else
    return value;
}
/// The names of an enumeration, for messages: "front or late".
template <class E>
std::string choices_of() {
  std::string text;
  for (std::size_t i = 0; i < names_of<E>.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names_of<E>.size() ? " or " : ", ") + std::string(names_of<E>[i]);
  return text;
}
/// The enumeration's value of a name.
/// @throws error with the option and the possible names, if there is no such name
template <class E>
E value_named(const std::string& name, const std::string& what) {
  const auto found = std::find(names_of<E>.begin(), names_of<E>.end(), name);
  if (found == names_of<E>.end()) throw error(what + " is " + in_quotes(name) + "; expected " + choices_of<E>());
  return E(found - names_of<E>.begin());
}

/// Reads a method's options from adapter_config.json. Numbers and names must be there, switches and lists may be
/// missing.
/// @throws io_error if a value is missing or of another kind
/// @throws error if a name is unknown, shape_error if a number is out of bounds
template <class Options>
Options read_options(const config_json& json) {
  Options options;
  const auto named = [&](const option& o) { return json.file() + ": \"" + o.key + "\""; };
  Options::visit(options, [&]<class V>(const option& o, V& value) {
    if (!*o.key) return;
    if constexpr (std::same_as<V, bool>)
      value = json.get_or<bool>(o.key, false);
    else if constexpr (std::is_arithmetic_v<V>)
      value = json.get<V>(o.key);
    else if constexpr (std::is_enum_v<V>)
      value = value_named<V>(json.get<std::string>(o.key), named(o));
    else if constexpr (std::same_as<V, std::vector<std::string>>)  // PEFT writes a pattern as one string
      value = json.has(o.key) && json.values().at(o.key).is_string() ? V{json.get<std::string>(o.key)}
                                                                     : json.get_or<V>(o.key, {});
    else if constexpr (is_numbers_by_name<V>) {
      const config_json numbers = json.inside(o.key);
      std::set<std::string> seen;  // of equal names, the last value counts, at the place of the first
      for (const std::string& name : json.keys_of(o.key))
        if (seen.insert(name).second)
          value.emplace_back(name, numbers.get<typename V::value_type::second_type>(name.c_str()));
    } else {
      static_assert(std::same_as<V, std::string>, "no option in a file has this type");
      value = json.get_or<V>(o.key, {});
    }
  });
  check_bounds(options);
  return options;
}

}  // namespace iapt
