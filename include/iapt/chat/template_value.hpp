// SPDX-License-Identifier: Apache-2.0
// Values of chat templates from JSON.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/jinja/value.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// A JSON value as a template's.
/// @param from its objects keep the order of their keys
/// @param by who wrote its texts
/// @throws io_error if a text is not UTF-8, or a number is too large
inline jinja::value template_value(const nlohmann::ordered_json& from, jinja::writer by) {
  const auto marked = [by](const std::string& text) {
    if (const auto at = utf8::find_invalid(text); at != std::string::npos)
      throw io_error("byte " + std::to_string(at) + " is not valid UTF-8");
    return jinja::marked_text(text, {.by = by});
  };
  if (from.is_boolean()) return from.get<bool>();
  if (from.is_number_unsigned() && from > INT64_MAX) throw io_error("the number " + from.dump() + " is too large");
  if (from.is_number_integer()) return from.get<std::int64_t>();
  if (from.is_number_float()) return from.get<double>();
  if (from.is_string()) return marked(from.get_ref<const std::string&>());
  if (from.is_array()) {
    std::vector<jinja::value> items;
    for (const auto& one : from) items.push_back(template_value(one, by));
    return jinja::list(std::move(items));
  }
  if (!from.is_object()) return jinja::none{};
  jinja::dict entries;
  for (const auto& [key, one] : from.items()) entries.set(marked(key), template_value(one, by));
  return entries;
}

}  // namespace iapt
