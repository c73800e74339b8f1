// SPDX-License-Identifier: Apache-2.0
// Generation with beams: prompts through an engine of their own.
#pragma once
#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "iapt/serve/engine.hpp"
#include "iapt/serve/generate.hpp"

namespace iapt {

/// Continues prompts as `generate` does, each with as many beams as its options say; with one beam the tokens are those
/// of `generate`. All are served at once.
/// @param lm the model
/// @param method what it is adapted with (erase_method), or null
/// @param prompts tokens of each prompt, at least one
/// @param options of each prompt
/// @param seen hears of each token, if given; with several beams when the answer is there
/// @return the tokens of each answer
/// @throws shape_error if a prompt is too short, or there are not options for each
/// @throws error naming an option that makes no sense
/// @throws numeric_error if the logits are not finite
template <class T, class Backend>
std::vector<std::vector<token_id>> generate_with_beams(const causal_lm<T, Backend>& lm,
                                                       const method_ptr<T, Backend>& method,
                                                       const std::vector<std::vector<token_id>>& prompts,
                                                       std::span<const generation_options> options,
                                                       const token_callback& seen = {}) {
  check_options("generate_with_beams", prompts, options);
  const index_t soft_tokens = method ? method->soft_tokens() : 0;
  constexpr index_t block = 16;  // small: a beam that parts from another one copies what it has of its last
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
