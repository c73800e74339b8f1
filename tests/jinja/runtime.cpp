// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// No template takes more time, memory or stack than its limits say.
#include "iapt/jinja/runtime.hpp"

#include <string>
#include <utility>
#include <vector>

#include "iapt/jinja/program.hpp"
#include "support/catch.hpp"

namespace iapt::test::jinja_runtime {
namespace {

std::string render(const std::string& source, const jinja::limits& bounds = {}) {
  return jinja::program(source).render({}, bounds).bytes();
}
std::string repeated(const std::string& part, std::size_t n) {
  std::string out;
  for (; n; --n) out += part;
  return out;
}

}  // namespace

TEST_CASE("limits are named when they are exceeded", "[jinja]") {
  const jinja::limits small{.steps = 500'000, .output_bytes = 1 << 20, .value_bytes = 1 << 20};
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}", "limit steps"},
      {"{{ ('x' * 1000000)|list|length }}", "limit steps"},
      {"{% set ns = namespace(l=[1]) %}{% for x in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
       "limit steps"},
      {"{{ [1] * 1000000000 }}", "limit steps"},
      {"{{ (range(100000)|list * 1000)|length }}", "limit steps"},
      {"{{ [1]|batch(100000000000, 'x')|list }}", "limit steps"},
      {"{{ [1]|slice(100000000000)|list }}", "limit steps"},
      {"{% set ns = namespace(l=[]) %}{% for x in range(100000) %}{% set ns.l = ns.l + ['x' * 1000000 ~ x] %}{% "
       "endfor %}",
       "limit steps"},
      {"{% for x in range(100000) %}{{ ('a' * 100000) in ('a' * 100000 ~ 'b' ~ 'a' * 100001) }}{% endfor %}",
       "limit steps"},
      {"{% for x in range(100000) %}{% set y = 'x' * 1000000 == 'x' * 1000000 %}{% endfor %}", "limit steps"},
      {"{{ 'x' * 1000000000 }}", "limit value_bytes"},
      {"{{ 'ab'.ljust(1000000000000) }}", "limit value_bytes"},
      {"{{ '%999999999d' % 1 }}", "limit value_bytes"},
      {"{{ '{:999999999}'.format(1) }}", "limit value_bytes"},
      {"{{ 'a\nb'|indent(1000000000) }}", "limit value_bytes"},
      {"{{ [[]]|tojson(indent=1000000000) }}", "limit value_bytes"},
      {"{{ ('a' * 4000)|replace('a', 'b' * 10000) }}", "limit value_bytes"},
      {"{{ ('a' * 4000)|list|join('b' * 10000) }}", "limit value_bytes"},
      {"{% set ns = namespace(s='x') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
       "limit value_bytes"},
      {"{% for x in range(100) %}{{ 'x' * 1000000 }}{% endfor %}", "limit output_bytes"},
      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "limit depth"},
      {"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ [f()] }}{% endmacro %}{{ f() }}", "limit depth"},
      {"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "limit depth"},
      {"{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{{ caller }}{% endmacro %}{{ f() }}", "limit depth"},
      {"{% set ns = namespace(l=[]) %}{% for x in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}",
       "limit deepest_value"},
      {"{% set ns = namespace(l={}) %}{% for x in range(1000) %}{% set ns.l = {'x': ns.l} %}{% endfor %}",
       "limit deepest_value"},
      {"{% set ns = namespace(l=1) %}{% for x in range(1000) %}{% set ns.l = cycler(ns.l) %}{% endfor %}",
       "limit deepest_value"},
      {"{% set ns = namespace(l=[]) %}{% for x in range(1000) %}{% set ns.l = [ns.l.index] %}{% endfor %}",
       "limit deepest_value"},
      {"{% set ns = namespace(l=1) %}{% for x in range(1000) %}{% for y in [ns.l] %}{% set ns.l = loop %}{% endfor "
       "%}{% endfor %}",
       "limit deepest_value"},
      {"{{ " + repeated("(", 1000) + "1" + repeated(")", 1000) + " }}", "limit deepest_source"},
      {"{{ " + repeated("[", 100'000) + repeated("]", 100'000) + " }}", "limit deepest_source"},
      {"{{ " + repeated("-", 1000) + "1 }}", "limit deepest_source"},
      {"{{ " + repeated("not ", 1000) + "1 }}", "limit deepest_source"},
      {"{{ x" + repeated(".x", 1000) + " }}", "limit deepest_source"},
      {"{{ x" + repeated("|list", 1000) + " }}", "limit deepest_source"},
      {"{{ x" + repeated(" if x", 1000) + " }}", "limit deepest_source"},
      {"{{ x" + repeated(" if x else x", 1000) + " }}", "limit deepest_source"},
      {repeated("{% if 1 %}", 1000), "limit deepest_source"},
      {repeated("{% for x in y %}", 1000), "limit deepest_source"},
      {"{% set " + repeated("(", 1000) + "x" + repeated(")", 1000) + " = 1 %}", "limit deepest_source"},
      {"{{ range(100001) }}", "more than 100000 items"},
      {"{{ 2 ** 100 }}", "64 bits"},
      {"{{ 10 ** 1000000000000000000 }}", "64 bits"},
  };
  for (const auto& [source, message] : cases) {
    INFO(source.substr(0, 200));
    CHECK_THROWS_WITH(render(source, small), has_text(message));
  }
  CHECK_THROWS_WITH(render("{{ 'x' * 1000000000 }}"), has_text("longer than 16777216 bytes"));
}

TEST_CASE("limits that a host sets", "[jinja]") {
  CHECK_THROWS_WITH(render("{{ 'abcd' }}", {.output_bytes = 3}), has_text("longer than 3 bytes (limit output_bytes)"));
  CHECK(render("{{ 'abc' }}", {.output_bytes = 3}) == "abc");
  CHECK_THROWS_WITH(render("{{ 'ab' ~ 'cd' }}", {.value_bytes = 3}),
                    has_text("longer than 3 bytes (limit value_bytes)"));
  CHECK_THROWS_WITH(render("{% for x in range(99) %}{% endfor %}", {.steps = 50}), has_text("more than 50 steps"));
  CHECK_THROWS_WITH(render("{{ [[[1]]] }}", {.depth = 3}), has_text("more than 3 nodes"));
}

TEST_CASE("what is long but not deep is no problem", "[jinja]") {
  CHECK(render("{{ 0" + repeated(" + 1", 5000) + " }}") == "5000");
  CHECK(render("{{ ''" + repeated(" ~ 'x'", 5000) + " }}") == repeated("x", 5000));
  CHECK(render("{% if 0 %}" + repeated("{% elif 0 %}", 5000) + "{% else %}x{% endif %}") == "x");
  CHECK(render("{{ 1" + repeated(" and 1", 5000) + " }}") == "1");
  CHECK(render("{{ [" + repeated("1, ", 5000) + "]|length }}") == "5000");
}

}  // namespace iapt::test::jinja_runtime
