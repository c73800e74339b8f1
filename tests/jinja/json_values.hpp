// SPDX-License-Identifier: Apache-2.0
// Values of templates from JSON, and a clock that stands still.
#pragma once
#include <ctime>

#include <nlohmann/json.hpp>

#include "iapt/chat/template_value.hpp"

namespace iapt::test {

/// A JSON document as a template's value; who wrote its texts is `written`.
inline jinja::value jinja_value(const nlohmann::ordered_json& j, jinja::mark written) {
  return template_value(j, written.by);
}

/// Tuesday, 2 January 2024, 03:04:05.
inline std::tm fixed_time() {
  std::tm t{};
  t.tm_year = 124, t.tm_mon = 0, t.tm_mday = 2, t.tm_hour = 3, t.tm_min = 4, t.tm_sec = 5, t.tm_wday = 2, t.tm_yday = 1;
  return t;
}

}  // namespace iapt::test
