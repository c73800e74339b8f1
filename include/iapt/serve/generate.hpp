// SPDX-License-Identifier: Apache-2.0
// Generation: prompts are read once, then every token costs one row.  Shapes: M rows of logits, V vocabulary.
#pragma once
#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/model/decoder.hpp"
#include "iapt/serve/choice.hpp"

namespace iapt {

/// A token as it is generated.
struct generated_token {
  std::size_t prompt;                                        ///< number of its prompt
  token_id token;                                            ///< the token
  std::optional<token_log_probabilities> log_probabilities;  ///< where its prompt's options ask for them
};

/// Called with each token as it comes; returns whether its prompt goes on. Stop strings end a prompt by it
/// (`stop_matcher`).
using token_callback = std::function<bool(const generated_token&)>;

/// Refuses options of prompts that `who` cannot continue.
/// @throws shape_error if there are not options for each prompt
/// @throws error naming an option that makes no sense
inline void check_options(const std::string& who, const std::vector<std::vector<token_id>>& prompts,
                          std::span<const generation_options> options) {
  if (options.size() != prompts.size())
    throw shape_error(who + ": options for " + std::to_string(options.size()) + " of " +
                      std::to_string(prompts.size()) + " prompts");
  for (const generation_options& own : options) own.check();
}

/// Continues prompts, all in one batch. What is drawn for one of them does not depend on the others.
/// @param lm the model
/// @param method what it is adapted with, or the base model
/// @param prompts tokens of each prompt, at least one
/// @param options of each prompt
/// @param seen hears of each token, if given
/// @return the tokens of each answer
/// @throws shape_error if a prompt is too short, there are not options for each, or too many alternatives are asked for
/// @throws error naming an option that makes no sense
/// @throws numeric_error if the logits are not finite
template <class T, class Backend, class Method>
std::vector<std::vector<token_id>> generate(const causal_lm<T, Backend>& lm, const Method& method,
                                            const std::vector<std::vector<token_id>>& prompts,
                                            std::span<const generation_options> options,
                                            const token_callback& seen = {}) {
  check_options("generate", prompts, options);
  std::vector<std::vector<token_id>> answers(prompts.size());
  if (prompts.empty()) return answers;
  packed_batch batch;
  index_t longest = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (options[i].beams > 1)
      throw error("generate: of several beams, generate_with_beams has the best (serve/beams.hpp)");
    batch.add(prompts[i]);
    longest = std::max(longest, index_t(prompts[i].size()) + std::max<index_t>(options[i].max_new, 0));
  }
  kv_cache<T, Backend> cache(lm.backend(), lm.config, index_t(prompts.size()), longest + soft_token_count(method));
  std::vector<index_t> active(prompts.size());  // prompts that go on
  std::iota(active.begin(), active.end(), index_t(0));
  std::optional<decoder<T, Backend, Method>> reader;  // of these
  token_chooser next_tokens;

  // The next token of each, by its row of the logits (M, V).
  const auto choose = [&](const tensor<T, 2, Backend>& logits) {
    std::vector<token_choice> wanted;
    for (const index_t i : active)
      wanted.push_back(
          {&options[std::size_t(i)], {prompts[std::size_t(i)], answers[std::size_t(i)]}, index_t(wanted.size())});
    std::vector<generated_token> next;
    for (auto& one : next_tokens(logits, wanted)) {
      const auto prompt = std::size_t(active[next.size()]);
      if (!one) throw numeric_error("generate: the logits of prompt " + std::to_string(prompt) + " are not finite");
      next.push_back({prompt, one->token, std::move(one->log_probabilities)});
    }
    return next;
  };

  for (auto next = choose(lm.prefill(batch, cache, method));;) {
    std::vector<index_t> going;
    std::vector<token_id> tokens;
    for (const generated_token& one : next) {
      const generation_options& own = options[one.prompt];
      auto& answer = answers[one.prompt];
      if (own.max_new < 1 || own.stops_at(one.token)) continue;
      answer.push_back(one.token);
      const bool wanted = !seen || seen(one);
      if (wanted && index_t(answer.size()) < own.max_new)
        going.push_back(index_t(one.prompt)), tokens.push_back(one.token);
    }
    if (going.empty()) return answers;
    if (!reader || going.size() < active.size()) reader.emplace(lm, cache, going, method);
    active = std::move(going);
    next = choose(reader->step(tokens));
  }
}

/// Continues prompts, all with the same options, so also the same seed: give each its own where their draws should
/// differ.
template <class T, class Backend, class Method>
std::vector<std::vector<token_id>> generate(const causal_lm<T, Backend>& lm, const Method& method,
                                            const std::vector<std::vector<token_id>>& prompts,
                                            const generation_options& options, const token_callback& seen = {}) {
  const std::vector<generation_options> same(prompts.size(), options);
  return generate(lm, method, prompts, std::span(same), seen);
}

}  // namespace iapt
