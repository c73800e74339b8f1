// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/jinja/program.hpp"

#include <fstream>
#include <string>

#include "jinja/json_values.hpp"
#include "support/catch.hpp"
#include "support/model.hpp"

namespace iapt::test::jinja_program {
namespace {

std::string render(const std::string& source, const jinja::dict& variables = {}) {
  return jinja::program(source).render(variables, {}, fixed_time).bytes();
}
// The message of the error, or what was rendered.
std::string error_of(const std::string& source) {
  try {
    return "rendered: " + render(source);
  } catch (const jinja::template_error& refused) { return refused.what(); }
}
jinja::marked_text from_caller(const std::string& bytes) { return {bytes, {.by = jinja::writer::caller}}; }

}  // namespace

TEST_CASE("templates as Jinja2 renders them", "[jinja]") {
  std::ifstream file(test_data("jinja.json"));
  const auto reference = nlohmann::ordered_json::parse(file);
  const jinja::value variables = jinja_value(reference["variables"], {.by = jinja::writer::caller});
  REQUIRE(reference["cases"].size() > 1200);
  for (const auto& c : reference["cases"]) {
    const std::string source = c["template"];
    INFO(source);
    try {
      const std::string text = render(source, *variables.as_dict());
      CHECK(c.contains("text"));
      if (c.contains("text")) CHECK(text == c["text"].get<std::string>());
    } catch (const jinja::raised& raised) {
      CHECK(c.contains("raised"));
      if (c.contains("raised")) CHECK(raised.message == c["raised"].get<std::string>());
    } catch (const jinja::template_error& refused) {
      INFO(refused.what());
      CHECK(c.contains("refused"));
    }
  }
}

TEST_CASE("errors name the template, the line and what is wrong", "[jinja]") {
  CHECK(error_of("a\nb\n{{ x.y }}") == "chat template, line 3: 'x' is undefined");
  CHECK(error_of("{{ {'a': 1}.b.c }}") == "chat template, line 1: 'dict object' has no attribute 'b'");
  CHECK(error_of("{% for x in [1] %}\n\n{{ x +\n'a' }}{% endfor %}") ==
        "chat template, line 4: the operator + has no meaning for values of the types int and str");
  CHECK(error_of("\n{% if %}") == "chat template, line 2: expected an expression, not '%}'");
  CHECK(error_of("\n\n{% for x in [] %}") == "chat template, line 3: the template ends where {% endfor %} is expected");
  CHECK(error_of("\n{% include 'x' %}") == "chat template, line 2: {% include %} is not supported");
  CHECK(error_of("{{ 1 }}\n{{ 'x'|nope }}") == "chat template, line 2: there is no filter nope");
  CHECK(error_of("\n{{ [].append(1) }}") ==
        "chat template, line 2: access to attribute 'append' of 'list' object is unsafe");
  CHECK(error_of("{% macro f(a) %}\n{{ a + 1 }}{% endmacro %}\n{{ f('x') }}") ==
        "chat template, line 2: the operator + has no meaning for values of the types str and int");
  CHECK(error_of("{% macro f(a) %}{% endmacro %}\n{{ f(b=1) }}") ==
        "chat template, line 2: the macro f has no parameter b");
  CHECK(error_of("\n\n{{ 'abc }}") == "chat template, line 3: a string literal has no end");
  CHECK(error_of("{{ 99999999999999999999 }}") ==
        "chat template, line 1: an integer does not fit into 64 bits; this interpreter has no larger ones");
  CHECK_THROWS_WITH(jinja::program("ab\xFFz", "model.gguf"),
                    "model.gguf, line 1: byte 2 is not valid UTF-8; convert the template first");
}

TEST_CASE("what a template raises is kept apart", "[jinja]") {
  const jinja::program program("\n{{ raise_exception('Roles ' ~ 'must alternate') }}", "m");
  try {
    (void)program.render({});
    FAIL("nothing was thrown");
  } catch (const jinja::raised& raised) {
    CHECK(raised.message == "Roles must alternate");
    CHECK(raised.line == 2);
    CHECK(std::string(raised.what()) == "m, line 2: the template raised: Roles must alternate");
  }
}

TEST_CASE("a macro lives as long as the block that it stands in", "[jinja]") {
  const std::string escapes =
      "{% set ns = namespace() %}{% for x in [1] %}{% macro f() %}{{ x }}{% endmacro %}{% set ns.f = f %}{{ ns.f() }}"
      "{% endfor %}";
  CHECK(render(escapes) == "1");
  CHECK_THROWS_WITH(render(escapes + "{{ ns.f() }}"), has_text("the macro f is called after the block"));
}

TEST_CASE("values that hold themselves are freed", "[jinja]") {
  CHECK(render("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = [b, a] %}{% set a.a = a %}x") == "x");
  CHECK(render("{% for x in [1] %}{{ loop.changed(loop) }}{% endfor %}") == "True");
  CHECK(render("{% macro f() %}{% endmacro %}{% set ns = namespace(f=f) %}{% set ns.ns = {'x': ns} %}y") == "y");
}

TEST_CASE("the host's values, and a clock of this machine", "[jinja]") {
  jinja::dict message;
  message.set("role", from_caller("user"));
  message.set("n", 3);
  message.set("none", jinja::none{});
  jinja::dict variables;
  variables.set("messages", jinja::list({message, message}));
  variables.set("flag", true);
  CHECK(render("{{ messages|length }}{{ messages[0].role }}{{ flag }}{{ messages[1] }}", variables) ==
        "2userTrue{'role': 'user', 'n': 3, 'none': None}");
  CHECK(jinja::program("{{ strftime_now('%Y') }}").render({}).bytes() >= "2024");
  CHECK_THROWS_WITH(message.set(jinja::list({}), 1), has_text("cannot be a key"));
}

}  // namespace iapt::test::jinja_program
