// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// Who wrote a byte of the output is known, whatever a template does with it.
#include "iapt/jinja/marked_text.hpp"

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

#include "iapt/jinja/program.hpp"
#include "jinja/json_values.hpp"
#include "jinja/random_template.hpp"
#include "support/catch.hpp"

namespace iapt::test::jinja_marked_text {
namespace {

using jinja::writer;

jinja::value from(writer by, const std::string& bytes) { return jinja::marked_text(bytes, {.by = by}); }

// The caller's texts have Greek and Cyrillic letters, which templates here never print, and white space and quotes.
jinja::dict variables() {
  const jinja::mark caller{.by = writer::caller};
  jinja::dict all;
  all.set("a", from(writer::caller, "Жук"));
  all.set("b", from(writer::caller, " щИ \n\"Ю'\\ "));
  all.set("c", from(writer::caller, "Σας\tж,Ю,ж"));
  all.set("e", from(writer::caller, ""));
  all.set("r", from(writer::answer, "ответ ДА"));
  all.set("l", jinja_value({"Ж", "ю", "ЩЩ", " ж\n"}, caller));
  all.set("d", jinja_value({{"Жы", "юЯ"}, {"щ", "<Ж>"}, {"ф", {"Й", {{"ц", "У"}}}}}, caller));
  all.set("m", jinja_value({{{"role", "Ж"}, {"content", "Ю ю"}}, {{"role", "щ"}, {"content", "Й\r\nй"}}}, caller));
  return all;
}

// One letter for each byte: p, c or a; a capital letter if it is generated.
std::string letters(const jinja::marked_text& t) {
  std::string out;
  for (const jinja::mark& m : t.marks()) {
    const char letter = m.by == writer::program ? 'p' : m.by == writer::caller ? 'c' : 'a';
    out += m.generated ? static_cast<char>(letter - 32) : letter;
  }
  return out;
}
jinja::marked_text render(const std::string& source) {
  static const jinja::dict all = variables();
  return jinja::program(source).render(all, {.steps = 100'000}, fixed_time);
}
std::string letters_of(const std::string& source) { return letters(render(source)); }

}  // namespace

TEST_CASE("no random template makes a caller's byte its own", "[jinja]") {
  std::mt19937 random(3);
  std::size_t rendered = 0, bytes = 0;
  for (int i = 0; i < 6'000; ++i) {
    const std::string source = random_template::make(random);
    jinja::marked_text out;
    try {
      out = render(source);
    } catch (const jinja::template_error&) {
      continue;  // such as an index that is not there
    }
    ++rendered;
    REQUIRE(out.marks().size() == out.size());
    for (std::size_t at = 0; at < out.size();) {
      const auto character = utf8::next(std::string_view(out.bytes()).substr(at));
      const bool is_callers = character.code_point >= 0x370 && character.code_point < 0x500;
      for (const std::size_t end = at + character.size; at < end; ++at) {
        if (!is_callers) continue;
        ++bytes;
        INFO(source);
        INFO(out.bytes());
        if (out.marks()[at].by == writer::program) FAIL("byte " << at << " is the caller's");
      }
    }
  }
  CHECK(rendered > 3'000);
  CHECK(bytes > 100'000);
}

TEST_CASE("escapes are of whom their byte is", "[jinja]") {
  jinja::dict given;
  given.set("x", from(writer::caller, "\"\n\\\x01Ж\xF0\x9F\x98\x80'"));
  const auto letters_with = [&](const std::string& source) { return letters(jinja::program(source).render(given)); };
  //                                        "  \"\n\\ \u0001     Ж 😀   '  "
  CHECK(letters_with("{{ x|tojson }}") ==
        "p"
        "cc"
        "cc"
        "cc"
        "cccccc"
        "cc"
        "cccc"
        "c"
        "p");
  CHECK(letters_with("{{ x|tojson(true) }}") ==
        "p"
        "cc"
        "cc"
        "cc"
        "cccccc"
        "cccccc"
        "cccccccccccc"
        "c"
        "p");
  CHECK(letters_with("{{ [x] }}") ==
        "pp"
        "c"
        "cc"
        "cc"
        "cccc"
        "cc"
        "cccc"
        "cc"
        "pp");
  CHECK(letters_with("{{ x[0]|e }}") == "ccccc");
  CHECK(letters_with("{{ '<' ~ x[4] ~ '>' }}") == "pccp");
  // A caller's format gives its own fill, on either side.
  given.set("f", from(writer::caller, "{:ж>2}{:ж<2}{:ж=3}"));
  CHECK(letters_with("{{ f.format('a', 'b', 1) }}") ==
        "cc"
        "pp"
        "cc"
        "cccc"
        "p");
  CHECK(letters_with("{{ {x[4]: 1} }}") ==
        "pp"
        "cc"
        "pppp"
        "p");
}

TEST_CASE("the template's control tokens stay its own", "[jinja]") {
  const std::string chatml =
      "{% for x in m %}{{ '<|im_start|>' + x.role + '\\n' + x.content|trim + '<|im_end|>' + '\\n' }}{% endfor %}";
  const auto out = render(chatml);
  CHECK(out.bytes() == "<|im_start|>Ж\nЮ ю<|im_end|>\n<|im_start|>щ\nЙ\r\nй<|im_end|>\n");
  CHECK(letters(out) == "ppppppppppppccpcccccpppppppppppppppppppppppccpccccccppppppppppp");
  CHECK(letters_of("{{ r }}{{ r|upper }}x").find_first_not_of('a') == 2 * std::string("ответ ДА").size());
  CHECK(letters_of("{{ 1.5 }}{{ l|length }}{{ none }}{{ a == 'Жук' }}") ==
        "pppppppp"
        "pppp");
  CHECK(letters_of("{{ b|indent(2) }}") == "cccccccppcccccc");
  // A key of the template and one of the caller are equal; the entry keeps its own.
  CHECK(letters_of("{% for k, v in {'щ': d['щ']}.items() %}{{ k }}{{ v }}{% endfor %}") == "ppcccc");
  CHECK(letters_of("{{ 'a{:ж>4}'.format(a[0]) }}") ==
        "p"
        "pppppp"
        "cc");
}

TEST_CASE("what is printed inside of generation is generated", "[jinja]") {
  CHECK(letters_of("x{% generation %}y{{ a[0] }}{{ r[0] }}{% endgeneration %}z{{ a[0] }}") == "pPCCAApcc");
  CHECK(letters_of("{% macro q() %}a{% endmacro %}{% generation %}{{ q() }}{% endgeneration %}{{ q() }}") == "Pp");
  CHECK(letters_of("{% for x in 'ab' %}{% generation %}{{ x }}{% endgeneration %}\n{% endfor %}") == "PP");
  CHECK(letters_of("{% set v %}{% generation %}a{% endgeneration %}b{% endset %}{{ v|upper }}") == "Pp");
}

}  // namespace iapt::test::jinja_marked_text
