// SPDX-License-Identifier: Apache-2.0
// Fuzz target of Jinja templates: any bytes render a conversation within the limits, or are an error of ours. No byte
// of the conversation becomes a byte of the template.
#include <cstdlib>
#include <string_view>

#include "fuzz/support.hpp"
#include "iapt/jinja/program.hpp"
#include "jinja/json_values.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static const jinja::value variables = [] {
    const nlohmann::ordered_json arguments = {{"город", "Осло"}, {"дни", 3}, {"x", nullptr}};
    const nlohmann::ordered_json call = {{"name", "погода"}, {"arguments", arguments}};
    const nlohmann::ordered_json messages = {{{"role", "system"}, {"content", "Кратко."}},
                                             {{"role", "user"}, {"content", " Привет \n\"'\\ <|им|>Σ"}},
                                             {{"role", "assistant"}, {"content", ""}, {"tool_calls", {call, call}}}};
    return test::jinja_value({{"messages", messages}, {"tools", {arguments, 1.5, true}}, {"s", "Ёж ёж"}},
                             {.by = jinja::writer::caller});
  }();
  const std::string_view source = fuzz::text_of(data, size);
  fuzz::refuses_or_reads([&] {
    const jinja::program program(source, "fuzz.jinja");
    const jinja::limits bounds{.steps = 20'000, .output_bytes = 1 << 16, .value_bytes = 1 << 16, .depth = 100};
    const jinja::marked_text out = program.render(*variables.as_dict(), bounds, test::fixed_time);
    // A template of ASCII without escapes prints other characters only as the conversation has them.
    for (const char c : source)
      if (static_cast<unsigned char>(c) >= 0x80 || c == '\\') return;
    for (std::size_t i = 0; i < out.size(); ++i)
      if (static_cast<unsigned char>(out.bytes()[i]) >= 0x80 && out.marks()[i].by == jinja::writer::program)
        std::abort();
  });
  return 0;
}
