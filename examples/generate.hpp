// SPDX-License-Identifier: Apache-2.0
// Continues a prompt, with or without an adapter, on any device. generate.cpp has the flags.
#pragma once
#include <iapt/serve/beams.hpp>
#include <iapt/serve/generate.hpp>
#include <iapt/serve/stop.hpp>
#include <iapt/text/stream_decoder.hpp>

#include "support/adapted_model.hpp"

namespace program {
using namespace iapt;

/// The program with its flags. Standard output gets only the generated text. Standard error then gets the
/// log-probabilities, one JSON object for each token.
struct generate_program : adapted_flags {
  static constexpr auto purpose = "Answers a prompt, token by token.";
  std::string prompt;
  std::vector<std::string> stop;
  bool chat = false, skip_special_tokens = true;
  generation_options options;

  void add(CLI::App& app);
  void check_flags() const;  // checks the combination of flags
  template <class T, class Backend>
  int run(Backend& backend) const;
};

/// A token's log-probabilities, with the field names of OpenAI's API.
inline nlohmann::ordered_json logprobs(const tokenizer& words, const generated_token& one) {
  const auto entry = [&](token_id token, double value) {
    return nlohmann::ordered_json{{"token", words.decode({{token}}, false, false)}, {"id", token}, {"logprob", value}};
  };
  auto found = entry(one.token, one.log_probabilities->chosen);
  auto& top = found["top_logprobs"] = nlohmann::ordered_json::array();
  for (const scored_token& other : one.log_probabilities->top) top.push_back(entry(other.token, other.log_probability));
  return found;
}

template <class T, class Backend>
int generate_program::run(Backend& backend) const {
  const auto adapted = load_adapted<T>(*this, backend);
  const auto& lm = adapted.lm;
  generation_options limits = options;
  limits.stop = lm.end_tokens();
  std::vector<token_id> tokens;
  if (chat)
    tokens = lm.chat().encode(lm.tokenizer(), conversation().add("user", prompt));
  else
    tokens = lm.tokenizer().encode(prompt);
  if (tokens.empty()) throw error("the prompt has no tokens; give some text to continue");
  warn_if_too_long(lm, index_t(tokens.size()) + options.max_new, "--prompt with --max-new");
  stream_decoder text(lm.tokenizer(), skip_special_tokens, chat);
  stop_matcher until(stop);
  std::string listed;  // log-probabilities, printed after the text: on a terminal they would interrupt it
  const auto show = [&](const generated_token& one) {
    std::cout << until.next(text.next(one.token)) << std::flush;
    if (one.log_probabilities) listed += logprobs(lm.tokenizer(), one).dump() + "\n";
    return !until.stopped();
  };
  if (limits.beams > 1)
    generate_with_beams(lm, adapted.method, {tokens}, std::span(&limits, 1), show);
  else
    generate(lm, *adapted.method, {tokens}, limits, show);
  std::cout << until.next(text.finish()) << until.finish() << std::endl;
  std::cerr << listed;
  return 0;
}

}  // namespace program
