// SPDX-License-Identifier: Apache-2.0
// Renders chat templates for tests/reference/compare_jinja.py: reads one JSON object a line, {"template", "variables",
// "now"}, and writes one, {"text"} or {"raised"} or {"refused"}, with the microseconds of the render.
#include <chrono>
#include <iostream>
#include <string>

#include "iapt/jinja/program.hpp"
#include "jinja/json_values.hpp"

int main() {
  using namespace iapt;
  using clock = std::chrono::steady_clock;
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = nlohmann::ordered_json::parse(line);
    nlohmann::ordered_json answer;
    try {
      const jinja::program program(request["template"].get<std::string>());
      const jinja::value variables = test::jinja_value(request["variables"], {.by = jinja::writer::caller});
      const auto begin = clock::now();
      answer["text"] = program.render(*variables.as_dict(), {}, test::fixed_time).bytes();
      answer["microseconds"] = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - begin).count();
    } catch (const jinja::raised& raised) { answer["raised"] = raised.message; } catch (const error& refused) {
      answer["refused"] = refused.what();
    }
    std::cout << answer.dump(-1, ' ', true) << std::endl;
  }
}
