// SPDX-License-Identifier: Apache-2.0
// Values of templates from JSON, and a clock that stands still.
#pragma once
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "iapt/jinja/value.hpp"

namespace iapt::test {

/// A JSON document as a template's value; who wrote its texts is `written`.
inline jinja::value jinja_value(const nlohmann::ordered_json& j, jinja::mark written) {
  if (j.is_boolean()) return j.get<bool>();
  if (j.is_number_integer()) return j.get<std::int64_t>();
  if (j.is_number_float()) return j.get<double>();
  if (j.is_string()) return jinja::marked_text(j.get<std::string>(), written);
  if (j.is_array()) {
    std::vector<jinja::value> items;
    for (const auto& item : j) items.push_back(jinja_value(item, written));
    return jinja::list(std::move(items));
  }
  if (!j.is_object()) return jinja::none{};
  jinja::dict d;
  for (const auto& [key, item] : j.items()) d.set(jinja::marked_text(key, written), jinja_value(item, written));
  return d;
}

/// Tuesday, 2 January 2024, 03:04:05.
inline std::tm fixed_time() {
  std::tm t{};
  t.tm_year = 124, t.tm_mon = 0, t.tm_mday = 2, t.tm_hour = 3, t.tm_min = 4, t.tm_sec = 5, t.tm_wday = 2, t.tm_yday = 1;
  return t;
}

}  // namespace iapt::test
