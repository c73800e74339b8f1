// SPDX-License-Identifier: Apache-2.0
// Decode: computes one token of each of some sequences of a cache in each step.
// Shapes: B sequences, D hidden size, V vocabulary, E elements of a head.
#pragma once
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "iapt/model/causal_lm.hpp"

namespace iapt {

/// Computes one token of each of some sequences of a cache in each step. Soft tokens are KV slots by now: a step
/// computes nothing for them. What changes from step to step is in memory of its own, so that a GPU can record one step
/// and replay it (a CUDA graph). A method's hooks are then called in the first three steps only, and must not upload in
/// the third. Model, cache and method must outlive it.
template <class T, class Backend, class Method = no_method>
class decoder {
 public:
  /// A decoder for these sequences of the cache.
  /// @throws shape_error if the cache has no such sequence or no room, or a sequence is given twice
  decoder(const causal_lm<T, Backend>& lm, kv_cache<T, Backend>& cache, std::vector<index_t> sequences,
          const Method& method)
      : lm_(lm),
        cache_(cache),
        method_(method),
        sequences_(checked(std::move(sequences), cache)),
        tokens_(lm.backend(), std::vector<token_id>(sequences_.size())),
        slots_(lm.backend(), std::vector<std::int32_t>(sequences_.size())),
        view_{attention_pattern<Backend>(segments(), cache.table()),
              tensor<T, 2, Backend>(lm.backend(), {index_t(sequences_.size()), lm.config.heads.head_size}),
              {},
              {}} {}
  /// Deleted, because the method must outlive the decoder.
  decoder(const causal_lm<T, Backend>& lm, kv_cache<T, Backend>& cache, std::vector<index_t> sequences,
          const Method&& method) = delete;
  decoder(const decoder&) = delete;
  decoder& operator=(const decoder&) = delete;

  /// Computes one token of each sequence. Returns logits (B, V), which the next step may overwrite.
  /// @throws shape_error if there is not one token for each sequence, a token is not in the vocabulary, or there is no
  /// room; the cache is then unchanged
  const tensor<T, 2, Backend>& step(const std::vector<token_id>& tokens) {
    if (tokens.size() != sequences_.size())
      throw shape_error("decode: " + std::to_string(tokens.size()) + " tokens for " +
                        std::to_string(sequences_.size()) + " sequences");
    for (const token_id token : tokens) check_token(token, lm_.config);
    slots_.replace(cache_.next_slots(0, sequences_));
    tokens_.replace(tokens);
    view_.pattern.replace(segments(), cache_.table());
    std::vector<index_t> positions;
    for (const index_t sequence : sequences_) positions.push_back(cache_.next_position(sequence));
    upload(view_.cos_sin, rope_cos_sin_values<T>(lm_.frequencies(), positions));
    lm_.backend().repeat(work_, [&] {
      logits_ = {};  // frees their memory for reuse: a recorded step must not allocate new memory
      logits_ = compute();
    });
    cache_.advance(sequences_);
    return logits_;
  }

 private:
  static std::vector<index_t> checked(std::vector<index_t> sequences, const kv_cache<T, Backend>& cache) {
    std::vector<bool> seen(std::size_t(cache.sequences()));
    for (const index_t sequence : sequences) {
      cache.require_room(0, sequence, 1);
      if (seen[std::size_t(sequence)])
        throw shape_error("decode: two tokens of sequence " + std::to_string(sequence) + "; give one at a time");
      seen[std::size_t(sequence)] = true;
    }
    return sequences;
  }
  std::vector<attention_segment> segments() const {
    std::vector<attention_segment> all;
    for (const index_t sequence : sequences_)
      all.push_back({.begin = index_t(all.size()),
                     .count = 1,
                     .past_begin = cache_.begin(sequence),
                     .past_count = cache_.filled(0, sequence)});
    return all;
  }
  // All work on the device; it reads nothing from the host.
  tensor<T, 2, Backend> compute() {
    inference<Backend> ctx(lm_.backend());
    auto x = lm_.embed(ctx, tokens_, method_);
    for (index_t l = 0; l < lm_.config.layers; ++l) {
      const auto& layer = lm_.layers[l];
      view_.past = cache_.layer(l);
      auto result = layer(ctx, x, layer.attention_norm(ctx, x), method_, int(l), view_);
      cache_.write_kv(l, result.own, slots_);
      x = result.y;
    }
    return lm_.logits(ctx, x);
  }

  const causal_lm<T, Backend>& lm_;
  kv_cache<T, Backend>& cache_;
  const Method& method_;
  std::vector<index_t> sequences_;
  row_indices<Backend> tokens_, slots_;
  attention_view<T, Backend> view_;
  typename Backend::work_type work_;
  tensor<T, 2, Backend> logits_;
};

/// Computes one more token of each of some sequences of the cache, given as (sequence, token). Returns logits (number
/// of tokens, V).
/// @throws shape_error if a token is not in the vocabulary, the cache has no such sequence or no room, or a sequence is
/// given twice; the cache is then unchanged
template <class T, class Backend, class Method = no_method>
tensor<T, 2, Backend> decode(const causal_lm<T, Backend>& lm, const std::vector<std::pair<index_t, token_id>>& tokens,
                             kv_cache<T, Backend>& cache, const Method& method = {}) {
  std::vector<index_t> sequences;
  std::vector<token_id> ids;
  for (const auto& [sequence, token] : tokens) sequences.push_back(sequence), ids.push_back(token);
  return decoder<T, Backend, Method>(lm, cache, sequences, method).step(ids);
}

}  // namespace iapt
