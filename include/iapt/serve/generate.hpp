// SPDX-License-Identifier: Apache-2.0
// Generation: prefill of all prompts, then decode.  Shapes: M rows of logits, V vocabulary.
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

/// A generated token.
struct generated_token {
  std::size_t prompt;                                        ///< index of its prompt
  token_id token;                                            ///< the token
  std::optional<token_log_probabilities> log_probabilities;  ///< if its prompt's options ask for them
};

/// Called with each new token; false ends its prompt. Use a `stop_matcher` in it to end a prompt at stop strings.
using token_callback = std::function<bool(const generated_token&)>;

/// Refuses options that `who` cannot use.
/// @throws shape_error if the numbers of options and prompts differ
/// @throws error for an invalid option, with its name
inline void check_options(const std::string& who, const std::vector<std::vector<token_id>>& prompts,
                          std::span<const generation_options> options) {
  if (options.size() != prompts.size())
    throw shape_error(who + ": options for " + std::to_string(options.size()) + " of " +
                      std::to_string(prompts.size()) + " prompts");
  for (const generation_options& own : options) own.check();
}

/// Continues prompts, all in one batch. The tokens sampled for one of them do not depend on the others.
/// @param lm the model
/// @param method its method, or no_method: the base model
/// @param prompts tokens of each prompt, at least one
/// @param options options of each prompt
/// @param seen called with each token, if given
/// @return the tokens of each answer
/// @throws shape_error if a prompt is too short, the numbers of options and prompts differ, or too many alternatives
/// are requested
/// @throws error for an invalid option, with its name
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
  std::vector<index_t> active(prompts.size());  // prompts that have not ended
  std::iota(active.begin(), active.end(), index_t(0));
  std::optional<decoder<T, Backend, Method>> reader;  // decodes these
  token_chooser next_tokens;

  // The next token of each, from its row of the logits (M, V).
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

/// Continues prompts, all with the same options and so with the same seed. For different samples give each prompt its
/// own seed.
template <class T, class Backend, class Method>
std::vector<std::vector<token_id>> generate(const causal_lm<T, Backend>& lm, const Method& method,
                                            const std::vector<std::vector<token_id>>& prompts,
                                            const generation_options& options, const token_callback& seen = {}) {
  const std::vector<generation_options> same(prompts.size(), options);
  return generate(lm, method, prompts, std::span(same), seen);
}

}  // namespace iapt
