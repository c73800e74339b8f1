// SPDX-License-Identifier: Apache-2.0
// Measures a model on JSONL, with or without an adapter, on any device. evaluate.cpp has the flags.
#pragma once
#include <algorithm>
#include <iapt/data/choices.hpp>
#include <iapt/data/jsonl.hpp>
#include <iapt/io/atomic_file.hpp>
#include <iapt/serve/beams.hpp>
#include <iapt/serve/generate.hpp>
#include <iapt/train/evaluate.hpp>
#include <map>
#include <optional>

#include "support/adapted_model.hpp"

namespace program {
using namespace iapt;

/// The program with its flags. The last line of standard output is one JSON object.
struct evaluate_program : adapted_flags {
  static constexpr auto purpose = "Measures a language model on JSONL.";
  std::string data, metric = "loss", write;
  std::size_t limit = 0;
  index_t max_new = 256, beams = 1;

  void add(CLI::App& app);
  void check_flags();  // checks the combination of flags
  template <class T, class Backend>
  int run(Backend& backend) const;
};

inline std::string trimmed(const std::string& text) {
  const char* space = " \t\r\n";
  const auto from = text.find_first_not_of(space), to = text.find_last_not_of(space);
  return from == std::string::npos ? "" : text.substr(from, to - from + 1);
}

// Fraction of greedy answers that equal the response, for all examples and for each tag.
template <class Adapted>
void exact(const Adapted& adapted, const evaluate_program& f, const std::vector<example>& examples,
           nlohmann::ordered_json& result) {
  constexpr std::size_t together = 16;
  const auto& lm = adapted.lm;
  const std::vector<token_id> stop = lm.end_tokens();
  const auto text_of = [&](std::vector<token_id> ids) {  // without the token that ends the answer
    if (!ids.empty() && std::find(stop.begin(), stop.end(), ids.back()) != stop.end()) ids.pop_back();
    return trimmed(lm.tokenizer().decode(ids));
  };
  std::size_t longest = 0;
  for (const example& e : examples) longest = std::max(longest, e.instruction.size());
  warn_if_too_long(lm, index_t(longest) + f.max_new, "the longest prompt with --max-new");
  std::optional<atomic_file> written;
  if (!f.write.empty()) written.emplace(f.write);
  std::size_t right = 0;
  std::map<std::string, std::pair<std::size_t, std::size_t>> tags;  // number of correct answers, number of all
  for (std::size_t from = 0; from < examples.size(); from += together) {
    const std::size_t to = std::min(from + together, examples.size());
    std::vector<std::vector<token_id>> prompts;
    for (std::size_t i = from; i < to; ++i) prompts.push_back(examples[i].instruction);
    const std::vector<generation_options> options(prompts.size(),
                                                  {.max_new = f.max_new, .stop = stop, .beams = f.beams});
    const auto answers = f.beams > 1 ? generate_with_beams(lm, adapted.method, prompts, options)
                                     : generate(lm, *adapted.method, prompts, std::span(options));
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

template <class Adapted>
nlohmann::ordered_json measure(const Adapted& adapted, const evaluate_program& f) {
  const auto& lm = adapted.lm;
  const auto& method = *adapted.method;
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
  if (const auto text = to_text(set.report); !text.empty()) std::cerr << text << '\n';
  shorten(set.examples);
  result["loss"] = evaluate(lm.backend(), lm, method, std::span<const example>(set.examples)).loss;
  if (f.metric == "exact") exact(adapted, f, set.examples, result);
  return result;
}

template <class T, class Backend>
int evaluate_program::run(Backend& backend) const {
  const auto adapted = load_adapted<T>(*this, backend);
  std::cout << measure(adapted, *this).dump() << '\n';
  return 0;
}

}  // namespace program
