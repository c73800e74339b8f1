// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/jinja/unicode_case.hpp"

#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "support/catch.hpp"
#include "support/model.hpp"

namespace iapt::test::jinja_unicode_case {

TEST_CASE("case of characters as in Python", "[jinja]") {
  std::ifstream file(test_data("jinja.json"));
  const auto reference = nlohmann::json::parse(file)["case"];
  const std::string characters = reference["characters"];
  REQUIRE(characters.size() > 1000);
  std::string upper, lower, title;
  for (std::size_t at = 0; at < characters.size();) {
    const auto s = utf8::next(std::string_view(characters).substr(at));
    jinja::detail::append_upper(upper, s.code_point);
    jinja::detail::append_lower(lower, s.code_point);
    jinja::detail::append_title(title, s.code_point);
    at += s.size;
  }
  CHECK(upper == reference["upper"].get<std::string>());
  CHECK(lower == reference["lower"].get<std::string>());
  CHECK(title == reference["title"].get<std::string>());
}

TEST_CASE("classes of characters as in Python", "[jinja]") {
  using namespace jinja::detail;
  CHECK((is_upper(U'É') && !is_upper(U'é') && is_lower(U'ß') && is_title(U'ǅ') && !is_cased(U'日')));
  CHECK((is_alpha(U'日') && is_alpha(U'ж') && !is_alpha(U'1') && is_alnum(U'½') && !is_alnum(U'_')));
  CHECK((is_decimal(U'٣') && !is_decimal(U'²') && is_digit(U'²') && !is_digit(U'½')));
  CHECK((is_space(0x1C) && is_space(0x85) && is_space(0x2003) && is_space('\n') && !is_space(0x200B)));
  CHECK((is_printable(' ') && is_printable(U'é') && !is_printable(0xA0) && !is_printable('\n') && !is_printable(0xAD)));
}

}  // namespace iapt::test::jinja_unicode_case
