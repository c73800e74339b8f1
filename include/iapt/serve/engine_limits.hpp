// SPDX-License-Identifier: Apache-2.0
// The options of an engine, and which requests it refuses.
#pragma once
#include <algorithm>
#include <functional>
#include <string>

#include "iapt/serve/step_batch.hpp"

namespace iapt {

/// Memory and bounds of an engine.
struct engine_options {
  cache_size cache = {.sequences = 64, .blocks = 1024, .block_size = 64, .max_blocks_per_seq = 128};  ///< KV cache
  index_t max_prefill_tokens = 512;                         ///< prompt tokens of a step
  bool prefix_caching = true;                               ///< whether requests reuse the KV blocks of a common prefix
  index_t max_seqs_per_client = 0;                          ///< sequences of one client at the same time; 0: no bound
  std::function<void(const std::string&)> on_failure = {};  ///< called with the reason when a method fails

  /// KV slots that one request may have.
  index_t max_slots_per_request() const { return std::min(cache.blocks, cache.max_blocks_per_seq) * cache.block_size; }
  /// Sequences that one client may have.
  index_t seqs_per_client() const {
    return max_seqs_per_client ? std::min(max_seqs_per_client, cache.sequences) : cache.sequences;
  }
};

/// What a step computed.
struct step_tokens {
  index_t prefill = 0;  ///< tokens of prompts and of preempted answers; for a prompt that is computed layer by layer,
                        ///< the number of tokens of the same cost
  index_t decode = 0;   ///< tokens of answers, one for each sequence that decodes
};

/// Whether a method changes what the base model computes of a token, other than by soft tokens.
template <class T, class Backend>
bool changes_tokens(const any_method<T, Backend>& method) {
  for (const hook h : {hook::delta, hook::scale, hook::bias, hook::after, hook::input})
    if (method.uses_hook(h)) return true;
  return false;
}

/// Refuses a request that can never be answered.
/// @throws shape_error if it does not fit even alone, with the sizes
/// @throws error for an invalid option, with its name
template <class T, class Backend>
void check_request(const engine_request<T, Backend>& request, const engine_options& options,
                   const transformer_config& config) {
  const index_t needed = request.shortest_prompt(), beams = request.options.beams;
  request.options.check();
  if (beams > options.seqs_per_client())
    throw shape_error("engine: " + std::to_string(beams) + " beams, but it has places for " +
                      std::to_string(options.seqs_per_client()) + " sequences of a client");
  if (request.on_prompt_token && request.writes_soft_tokens())
    throw error(
        "engine: log-probabilities of a prompt from which soft tokens are written: these have seen all of it, so none "
        "of its tokens would be a prediction");
  if (index_t(request.prompt.size()) < needed)
    throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens; at least " +
                      std::to_string(needed) + " are needed");
  if (request.late() && (changes_tokens(*request.method) || request.method->is_static_prompt()))
    throw error(
        "engine: late soft tokens in a method that has other hooks, too, or a static prompt: the base model computes "
        "the "
        "tokens before them, and each prompt's soft tokens have positions of their own");
  for (const token_id token : request.prompt) check_token(token, config);
  for (const auto& [token, bias] : request.options.sampling.logit_bias) check_token(token, config);
  if (const index_t most = options.max_slots_per_request(); request.options.max_new > most || request.slots() > most)
    throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens, " +
                      std::to_string(request.soft_tokens()) + " soft tokens and an answer of " +
                      std::to_string(request.options.max_new) + " take more rows of the cache than the " +
                      std::to_string(most) + " that it has for one request");
  // Beams share the blocks that the prompt fills. Each has its own blocks for the rest, and one more while it forks.
  const index_t shared = (request.slots() - request.options.max_new) / options.cache.block_size;
  const index_t own = (request.slots() + options.cache.block_size - 1) / options.cache.block_size - shared + 1;
  if (beams > 1 && shared + beams * own > options.cache.blocks)
    throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens and " +
                      std::to_string(beams) + " beams of " + std::to_string(request.options.max_new) + " take " +
                      std::to_string(shared + beams * own) + " blocks of the cache, which has " +
                      std::to_string(options.cache.blocks));
}

}  // namespace iapt
