// SPDX-License-Identifier: Apache-2.0
// Requests of an engine, and their state while they run.
// Shapes: P soft tokens of a request.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "iapt/serve/any_method.hpp"
#include "iapt/serve/beam_search.hpp"
#include "iapt/serve/prefix_index.hpp"

namespace iapt {

/// Why a request ended.
enum class finish_reason {
  stop,       ///< a stop token was chosen
  length,     ///< it has generated `max_new` tokens
  cancelled,  ///< a callback ended it
  failed      ///< its logits were not finite, or its step failed
};

/// A request: a prompt, how to continue it, and callbacks. The engine calls them from `step`.
template <class T, class Backend>
struct engine_request {
  std::vector<token_id> prompt;                            ///< at least `shortest_prompt` tokens
  generation_options options = {};                         ///< length, stop tokens, sampling
  method_ptr<T, Backend> method = {};                      ///< the tenant's method; null: the base model
  std::function<bool(const chosen_token&)> on_token = {};  ///< called with each token; false ends the request
  std::function<void(finish_reason)> on_finish = {};       ///< called once, at the end
  std::function<bool()> is_cancelled = {};                 ///< called before each step; true ends the request
  /// Called with each token of the prompt and its log-probability (the first token has none), and with a token that
  /// ends the answer. With it the whole prompt is computed, nothing is taken from the prefix cache.
  std::function<void(const chosen_token&)> on_prompt_token = {};
  std::uint64_t client = 0;  ///< the client's id, if the engine bounds the sequences of a client

  /// P; 0 without soft tokens.
  index_t soft_tokens() const { return method ? method->soft_tokens() : 0; }
  /// Smallest number of prompt tokens: the instruction that the method needs and, for late soft tokens, the last token.
  index_t shortest_prompt() const { return (method ? method->shortest_instruction() : 1) + (late() ? 1 : 0); }
  /// Whether soft tokens are written from the prompt.
  bool writes_soft_tokens() const { return soft_tokens() > 0 && !method->is_static_prompt(); }
  /// Whether there are soft tokens and they stand late.
  bool late() const { return soft_tokens() > 0 && method->where() == placement::late; }
  /// Whether its generator reads states that the cache stores, so that the prompt may be computed in chunks.
  bool reads_stored_states(const cache_size& cache) const {
    return late() && cache.store_hidden_states && !method->needs_raw_states();
  }
  /// Whether its method needs steps of its own.
  bool runs_alone() const { return method && !method->is_mixable(); }
  /// KV slots for prompt, soft tokens and answer; the answer's last token needs none.
  index_t slots() const { return index_t(prompt.size()) + soft_tokens() + std::max<index_t>(options.max_new, 1) - 1; }
  /// What its keys and values depend on besides the tokens; with late soft tokens, those of the prompt except the last.
  prefix_scope scope() const {
    if (!method || late()) return {};
    return {method->id(), writes_soft_tokens() ? std::span<const token_id>(prompt) : std::span<const token_id>(),
            soft_tokens()};
  }
};

/// One sequence of a running request: its only one, or one beam.
struct engine_sequence {
  std::vector<token_id> tokens;     ///< the prompt, then the generated tokens
  index_t seq_slot = -1;            ///< the cache's sequence; -1 while the request waits
  index_t num_computed_tokens = 0;  ///< tokens whose keys and values are in the cache
  index_t num_indexed_blocks = 0;   ///< blocks that the prefix index has

  /// Number of tokens.
  index_t size() const { return index_t(tokens.size()); }
};

/// A request and how far it is.
template <class T, class Backend>
struct request_state {
  engine_request<T, Backend> request;           ///< the request
  std::optional<beam_search> beams = {};        ///< the search, if it has more than one beam
  std::vector<engine_sequence> sequences = {};  ///< empty before it starts, then one, or one for each live beam
  std::vector<index_t> seq_slots = {};          ///< the cache's sequences that it owns
  std::vector<index_t> free_seq_slots = {};     ///< those of them that no sequence uses
  index_t max_len_before_preempt = 0;           ///< tokens of each beam at its last preemption
  bool reuse_counted = false;                   ///< whether its tokens from the prefix cache have been counted
  bool started = false;                         ///< whether a step has computed some of it
  bool ended = false;                           ///< whether it has ended
  bool suspect = false;                         ///< whether a step with it failed: then its method runs alone
  int failed_steps = 0;                         ///< steps with it that failed; after the second it stays a suspect
  index_t num_reported_prompt_tokens = 0;       ///< prompt tokens that `on_prompt_token` was called with

  /// Number of tokens of the prompt.
  index_t prompt_size() const { return index_t(request.prompt.size()); }
  /// Tokens generated so far, without beams.
  std::span<const token_id> generated() const { return std::span(sequences[0].tokens).subspan(request.prompt.size()); }
  /// How many of the first `slots` KV slots `request.scope()` describes.
  index_t slots_in_scope(index_t slots) const { return request.late() ? std::min(slots, prompt_size() - 1) : slots; }
};

}  // namespace iapt
