// SPDX-License-Identifier: Apache-2.0
// A pass of an engine on its way through the layers, and what its rows say.  Shapes: M rows, D hidden size, V
// vocabulary.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "iapt/serve/mixed_pass.hpp"

namespace iapt {

/// One pass over shares of requests, some layers at a time.
template <class T, class Backend>
class engine_pass {
 public:
  using job = engine_job<T, Backend>;      ///< a request
  using share = engine_share<T, Backend>;  ///< what it reads of one

  /// Before the first layer. Model and cache must outlive it; the cache has the blocks for the shares.
  engine_pass(const causal_lm<T, Backend>& lm, std::vector<share> shares, kv_cache<T, Backend>& cache)
      : lm_(lm), what_(std::move(shares), cache), layers_(lm, what_.plan(), cache, what_.method()) {}
  engine_pass(const engine_pass&) = delete;
  engine_pass& operator=(const engine_pass&) = delete;

  /// What it reads.
  const std::vector<share>& shares() const { return what_.shares(); }
  /// Runs so many layers, or those that are left.
  /// @throws whatever a method throws
  void advance(index_t layers) {
    layers_.advance(layers);
    if (done()) states_ = layers_.states();
  }
  /// Whether all layers have run.
  bool done() const { return layers_.done(); }
  /// Whether next tokens are to be chosen.
  bool asks() const { return what_.asked() > 0; }
  /// Logits to choose them by (M, V), after the last layer.
  tensor<T, 2, Backend> logits() const { return logits_of(0, what_.asked()); }
  /// Tells requests that want to hear of their prompts how likely the tokens were. Logits are many, so they are made of
  /// some rows at a time.
  /// @param failed called with a request whose numbers are not finite
  template <class Failed>
  void tell_prompts(Failed failed) const {
    constexpr std::size_t together = 64;
    for (const share& s : shares())
      if (s.of->request.read && s.of->told == 0) {
        s.of->request.read({s.of->request.prompt[0]});
        s.of->told = 1;
      }
    const std::span all(what_.scored());
    for (std::size_t first = 0; first < all.size(); first += together)
      tell(all.subspan(first, std::min(together, all.size() - first)), what_.asked() + index_t(first), failed);
  }

 private:
  // Some rows, of which the first wanted one is `begin`.
  template <class Failed>
  void tell(std::span<const scored_row<T, Backend>> rows, index_t begin, Failed failed) const {
    std::vector<token_id> tokens;
    std::vector<index_t> alternatives;
    for (const auto& [of, token] : rows) {
      tokens.push_back(of->request.prompt[std::size_t(token)]);
      alternatives.push_back(of->request.options.log_probabilities.value_or(0));
    }
    const auto found = log_probabilities(logits_of(begin, begin + index_t(rows.size())),
                                         std::span<const token_id>(tokens), std::span<const index_t>(alternatives));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      job& j = *rows[i].of;
      if (j.done) continue;
      if (!found[i]) {
        failed(j);
        continue;
      }
      j.request.read({tokens[i], *found[i]});
      j.told = rows[i].token + 1;
    }
  }
  tensor<T, 2, Backend> logits_of(index_t from, index_t to) const {
    const inference<Backend> ctx(lm_.backend());
    const bool all = from == 0 && to == states_.size(0);
    return lm_.logits(ctx, all ? states_ : states_.slice(from, to));
  }

  const causal_lm<T, Backend>& lm_;
  mixed_pass<T, Backend> what_;
  typename causal_lm<T, Backend>::template reading<mixed_method<T, Backend>> layers_;
  tensor<T, 2, Backend> states_ = {};  // of the wanted rows (M, D), when all layers have run
};

}  // namespace iapt
