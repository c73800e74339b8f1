// SPDX-License-Identifier: Apache-2.0
// Generation with beam search: runs prompts through an engine of their own.
#pragma once
#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "iapt/serve/engine.hpp"
#include "iapt/serve/generate.hpp"

namespace iapt {

/// Continues prompts as `generate` does, each with the number of beams of its options; with one beam the tokens are
/// those of `generate`. All prompts run at the same time.
/// @param lm the model
/// @param method its adapter (erase_method); null: the base model
/// @param prompts tokens of each prompt, at least one
/// @param options options of each prompt
/// @param seen called with each token, if given; with several beams, at the end of the answer
/// @return the tokens of each answer
/// @throws shape_error if a prompt is too short, or the numbers of options and prompts differ
/// @throws error for an invalid option, with its name
/// @throws numeric_error if the logits are not finite
template <class T, class Backend>
std::vector<std::vector<token_id>> generate_with_beams(const causal_lm<T, Backend>& lm,
                                                       const method_ptr<T, Backend>& method,
                                                       const std::vector<std::vector<token_id>>& prompts,
                                                       std::span<const generation_options> options,
                                                       const token_callback& seen = {}) {
  check_options("generate_with_beams", prompts, options);
  const index_t soft_tokens = method ? method->soft_tokens() : 0;
  constexpr index_t block = 16;  // small, because a beam that forks copies its last block
  cache_size size{.sequences = 0, .blocks = 0, .block_size = block, .max_blocks_per_seq = 0};
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const index_t rows = index_t(prompts[i].size()) + soft_tokens + std::max<index_t>(options[i].max_new, 0);
    size.sequences += options[i].beams;
    size.blocks += options[i].beams * (rows / block + 2);
    size.max_blocks_per_seq = std::max(size.max_blocks_per_seq, rows / block + 1);
  }
  engine<T, Backend> server(lm, {.cache = size, .prefix_caching = false});
  std::vector<std::vector<token_id>> answers(prompts.size());
  bool failed = false;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    server.submit({.prompt = prompts[i],
                   .options = options[i],
                   .method = method,
                   .on_token =
                       [&, i](const chosen_token& one) {
                         answers[i].push_back(one.token);
                         return !seen || seen({i, one.token, one.log_probabilities});
                       },
                   .on_finish = [&failed](finish_reason why) { failed |= why == finish_reason::failed; }});
  while (server.step()) {}
  if (failed) throw numeric_error("generate_with_beams: the logits are not finite");
  return answers;
}

}  // namespace iapt
