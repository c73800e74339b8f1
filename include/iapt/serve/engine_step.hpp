// SPDX-License-Identifier: Apache-2.0
// One step of an engine: a batch on its way through the layers, then its logits.
// Shapes: M rows of logits, D hidden size, V vocabulary.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "iapt/serve/step_batch.hpp"

namespace iapt {

/// A forward pass over chunks of requests, some layers at a time.
template <class T, class Backend>
class engine_step {
 public:
  using state_type = request_state<T, Backend>;  ///< a request
  using chunk = scheduled_chunk<T, Backend>;     ///< tokens of one of its sequences

  /// Before the first layer. Model and cache must outlive it; the chunks' KV blocks are allocated.
  engine_step(const causal_lm<T, Backend>& lm, std::vector<chunk> chunks, kv_cache<T, Backend>& cache)
      : lm_(lm), batch_(std::move(chunks), cache), forward_(lm, batch_.metadata(), cache, batch_.method()) {}
  engine_step(const engine_step&) = delete;
  engine_step& operator=(const engine_step&) = delete;

  /// The chunks, in the order of the batch.
  const std::vector<chunk>& chunks() const { return batch_.chunks(); }
  /// Runs `layers` layers, or those that are left.
  /// @return how many
  /// @throws whatever a method throws
  index_t advance(index_t layers) {
    const index_t ran = forward_.advance(layers);
    if (done()) states_ = forward_.states();
    return ran;
  }
  /// Whether all layers have run.
  bool done() const { return forward_.done(); }
  /// Whether any sequence's next token is to be chosen.
  bool needs_sample() const { return batch_.num_samples() > 0; }
  /// The logits for these choices (M, V), after the last layer.
  tensor<T, 2, Backend> logits() const { return logits_of(0, batch_.num_samples()); }
  /// Calls `on_prompt_token` of the requests that have one. The logits of a whole prompt may be large, so they are
  /// computed for some rows at a time.
  /// @param failed called with a request whose logits are not finite
  template <class Failed>
  void report_prompt_tokens(Failed failed) const {
    constexpr std::size_t rows_at_once = 64;
    for (const chunk& c : chunks())
      if (c.state->request.on_prompt_token && c.state->num_reported_prompt_tokens == 0) {
        c.state->request.on_prompt_token({c.state->request.prompt[0]});
        c.state->num_reported_prompt_tokens = 1;
      }
    const std::span all(batch_.scored_tokens());
    for (std::size_t first = 0; first < all.size(); first += rows_at_once)
      report(all.subspan(first, std::min(rows_at_once, all.size() - first)), batch_.num_samples() + index_t(first),
             failed);
  }

 private:
  // Some prompt tokens; the first one's row of logits is `begin`.
  template <class Failed>
  void report(std::span<const scored_prompt_token<T, Backend>> scored, index_t begin, Failed failed) const {
    std::vector<token_id> tokens;
    std::vector<index_t> alternatives;
    for (const auto& [state, token] : scored) {
      tokens.push_back(state->request.prompt[std::size_t(token)]);
      alternatives.push_back(state->request.options.log_probabilities.value_or(0));
    }
    const auto found = log_probabilities(logits_of(begin, begin + index_t(scored.size())),
                                         std::span<const token_id>(tokens), std::span<const index_t>(alternatives));
    for (std::size_t i = 0; i < scored.size(); ++i) {
      state_type& state = *scored[i].state;
      if (state.ended) continue;
      if (!found[i]) {
        failed(state);
        continue;
      }
      state.request.on_prompt_token({tokens[i], *found[i]});
      state.num_reported_prompt_tokens = scored[i].token + 1;
    }
  }
  tensor<T, 2, Backend> logits_of(index_t from, index_t to) const {
    const inference<Backend> ctx(lm_.backend());
    const bool all = from == 0 && to == states_.size(0);
    return lm_.logits(ctx, all ? states_ : states_.slice(from, to));
  }

  const causal_lm<T, Backend>& lm_;
  step_batch<T, Backend> batch_;
  typename causal_lm<T, Backend>::template forward_pass<mixed_method<T, Backend>> forward_;
  tensor<T, 2, Backend> states_ = {};  // of the logit rows (M, D), when all layers have run
};

}  // namespace iapt
