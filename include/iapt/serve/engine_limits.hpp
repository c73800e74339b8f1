// SPDX-License-Identifier: Apache-2.0
// What an engine takes on, and what it refuses.
#pragma once
#include <algorithm>
#include <functional>
#include <string>

#include "iapt/serve/mixed_pass.hpp"

namespace iapt {

/// How much an engine takes on.
struct engine_options {
  cache_size cache = {.sequences = 64, .blocks = 1024, .block_rows = 64, .blocks_of_sequence = 128};  ///< its memory
  index_t rows_in_pass = 512;                                                                         ///< of prompts
  bool share_prefixes = true;    ///< whether requests that begin alike share what was read
  index_t places_of_client = 0;  ///< sequences that the requests of one client may have at a time; 0: all
  std::function<void(const std::string&)> on_failure = {};  ///< hears why requests failed, of a method's own fault

  /// Rows of the cache that one request may have.
  index_t rows_of_request() const { return std::min(cache.blocks, cache.blocks_of_sequence) * cache.block_rows; }
  /// Sequences that one client may have.
  index_t sequences_of_client() const {
    return places_of_client ? std::min(places_of_client, cache.sequences) : cache.sequences;
  }
};

/// What a pass read.
struct pass_rows {
  index_t prompts = 0;  ///< rows of prompts, and of answers that are read again; of a prompt that is read layer by
                        ///< layer as many as would have cost the same
  index_t answers = 0;  ///< rows of answers, one for each sequence that generates
};

/// Refuses a request that could never be answered.
/// @throws shape_error if it could not be read even alone, naming what is too long
/// @throws error naming an option that makes no sense
template <class T, class Backend>
void check_request(const engine_request<T, Backend>& request, const engine_options& options,
                   const transformer_config& config) {
  const index_t needed = request.shortest_prompt(), beams = request.options.beams;
  request.options.check();
  if (beams > options.sequences_of_client())
    throw shape_error("engine: " + std::to_string(beams) + " beams, but it has places for " +
                      std::to_string(options.sequences_of_client()) + " sequences of a client");
  if (request.read && request.writes_soft_tokens())
    throw error(
        "engine: log-probabilities of a prompt from which soft tokens are written: these have seen all of it, so none "
        "of its tokens would be a prediction");
  if (index_t(request.prompt.size()) < needed)
    throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens; at least " +
                      std::to_string(needed) + " are needed");
  if (request.late() && (request.method->has_delta() || request.method->shares_soft_tokens()))
    throw error(
        "engine: late soft tokens in a method that adds to linear maps, too, or has the same for all prompts: rows "
        "before them are the bare model's, and each prompt's have positions of their own");
  for (const token_id token : request.prompt) check_token(token, config);
  for (const auto& [token, bias] : request.options.sampling.logit_bias) check_token(token, config);
  if (const index_t most = options.rows_of_request(); request.options.max_new > most || request.rows() > most)
    throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens, " +
                      std::to_string(request.soft_tokens()) + " soft tokens and an answer of " +
                      std::to_string(request.options.max_new) + " take more rows of the cache than the " +
                      std::to_string(most) + " that it has for one request");
  // Blocks that are full with the prompt serve all beams; each has its own of the rest, and one more while it is
  // made.
  const index_t shared = (request.rows() - request.options.max_new) / options.cache.block_rows;
  const index_t own = (request.rows() + options.cache.block_rows - 1) / options.cache.block_rows - shared + 1;
  if (beams > 1 && shared + beams * own > options.cache.blocks)
    throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens and " +
                      std::to_string(beams) + " beams of " + std::to_string(request.options.max_new) + " take " +
                      std::to_string(shared + beams * own) + " blocks of the cache, which has " +
                      std::to_string(options.cache.blocks));
}

}  // namespace iapt
