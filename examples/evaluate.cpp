// SPDX-License-Identifier: Apache-2.0
// Measures a model on JSONL, with or without an adapter. The last line of standard output is one JSON object.
#include <algorithm>
#include <map>
#include <optional>

#include "support/program.hpp"

using namespace iapt;

namespace {

std::string trimmed(const std::string& text) {
  const char* space = " \t\r\n";
  const auto from = text.find_first_not_of(space), to = text.find_last_not_of(space);
  return from == std::string::npos ? "" : text.substr(from, to - from + 1);
}

struct flags : program::common_flags {
  std::string adapter, data, metric = "loss", write;
  std::size_t limit = 0;
  extent max_new = 256;
};

// Fraction of greedy answers that equal the response, in all and by tag.
template <class Method>
void exact(const program::model& lm, const Method& method, const flags& f, const std::vector<example>& examples,
           nlohmann::ordered_json& result) {
  constexpr std::size_t together = 16;
  const std::vector<token_id> stop = program::stop_tokens(lm);
  const auto text_of = [&](std::vector<token_id> ids) {  // without the token that ends it
    if (!ids.empty() && std::find(stop.begin(), stop.end(), ids.back()) != stop.end()) ids.pop_back();
    return trimmed(lm.tokenizer().decode(ids));
  };
  std::size_t longest = 0;
  for (const example& e : examples) longest = std::max(longest, e.instruction.size());
  program::warn_if_too_long(lm, extent(longest) + f.max_new, "the longest prompt with --max-new");
  std::optional<atomic_file> written;
  if (!f.write.empty()) written.emplace(f.write);
  std::size_t right = 0;
  std::map<std::string, std::pair<std::size_t, std::size_t>> tags;  // right ones, all
  for (std::size_t from = 0; from < examples.size(); from += together) {
    const std::size_t to = std::min(from + together, examples.size());
    std::vector<std::vector<token_id>> prompts;
    for (std::size_t i = from; i < to; ++i) prompts.push_back(examples[i].instruction);
    const auto answers = generate(lm, method, prompts, {.max_new = f.max_new, .stop = stop});
    for (std::size_t i = from; i < to; ++i) {
      const std::string answer = text_of(answers[i - from]), expected = text_of(examples[i].response);
      const bool good = answer == expected;
      right += good;
      for (const auto& tag : examples[i].tags) tags[tag].first += good, ++tags[tag].second;
      if (written)
        written->write(nlohmann::ordered_json{{"line", examples[i].line},
                                              {"prompt", lm.tokenizer().decode(prompts[i - from])},
                                              {"generated", answer},
                                              {"expected", expected}}
                           .dump() +
                       "\n");
    }
  }
  if (written) written->commit();
  result["exact"] = double(right) / double(examples.size());
  for (const auto& [tag, count] : tags) std::cout << tag << ": " << count.first << " of " << count.second << " exact\n";
}

template <class Method>
nlohmann::ordered_json measure(const program::model& lm, const Method& method, const flags& f) {
  nlohmann::ordered_json result;
  const jsonl_options all{.shortest_instruction = stands_late(method) ? 2 : 1, .consequence = "nothing was evaluated"};
  const auto shorten = [&](auto& list) {
    if (f.limit && f.limit < list.size()) list.resize(f.limit);
    result["examples"] = list.size();
  };
  if (f.metric == "choice") {
    auto set = load_choices(f.data, lm.tokenizer(), all);
    shorten(set.examples);
    const auto found = evaluate_choices(lm.backend(), lm, method, std::span<const choice_example>(set.examples));
    result["loss"] = found.loss, result["choice"] = found.accuracy;
    return result;
  }
  auto set = load_jsonl(f.data, lm.tokenizer(), all);
  shorten(set.examples);
  result["loss"] = evaluate(lm.backend(), lm, method, std::span<const example>(set.examples)).loss;
  if (f.metric == "exact") exact(lm, method, f, set.examples, result);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures a language model on JSONL.");
  flags f;
  f.add(app);
  app.add_option("--adapter", f.adapter, "folder of an adapter")->check(program::not_empty());
  app.add_option("--data", f.data, "JSONL to measure on")->required()->check(program::not_empty());
  app.add_option("--metric", f.metric)->check(CLI::IsMember({"exact", "loss", "choice"}))->capture_default_str();
  app.add_option("--limit", f.limit, "examples at most; 0: all")->check(program::between<std::size_t>(0));
  app.add_option("--max-new", f.max_new, "tokens of an answer at most")
      ->check(program::between<extent>(1, 1000000))
      ->capture_default_str();
  app.add_option("--write", f.write, "with exact: a file for the generated answers, as JSONL")
      ->check(program::not_empty());
  return program::run(app, argc, argv, [&] {
    if (!f.write.empty() && f.metric != "exact") throw error("--write needs --metric exact: only it generates answers");
    program::backend backend{{.threads = f.threads}};
    const auto lm = load_causal_lm<float>(f.model, backend);
    const auto result =
        program::with_adapter(lm, f.adapter, [&](const auto& method) { return measure(lm, method, f); });
    std::cout << result.dump() << '\n';
    return 0;
  });
}
