// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention over packed sequences, with soft tokens and a past.
// Shapes: N tokens, H query heads, G key/value heads, E elements of a head, M soft tokens, C KV slots of the past.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "iapt/backend/concept.hpp"
#include "iapt/expr/operation.hpp"

namespace iapt {

/// Keys and values (rows, G·E) of the same tokens; empty handles if there are none.
template <class T, class Backend>
struct key_values {
  tensor<T, 2, Backend> keys;    ///< keys, with positions already applied
  tensor<T, 2, Backend> values;  ///< the value of each key
};

/// Which tokens attend to which, and the backend's plan for it. The first use computes the plan. Copies share it, so
/// that all layers of a step have one plan.
template <class Backend>
class attention_pattern {
 public:
  /// The pattern of the given sequences; `table` is for a past that is in blocks.
  attention_pattern(std::vector<attention_segment> segments = {}, block_table table = {})
      : shared_(std::make_shared<shared>(shared{std::move(segments), std::move(table), nullptr, {}, 0, {}})) {}
  /// The pattern of the given sequences.
  attention_pattern(std::initializer_list<attention_segment> segments)
      : attention_pattern(std::vector<attention_segment>(segments)) {}

  /// Segments of the sequences.
  const std::vector<attention_segment>& segments() const { return shared_->segments; }
  /// Block table of the past.
  const block_table& table() const { return shared_->table; }
  /// Replaces the sequences by others that differ only in their past. Copies change too, and the plan stays valid. Must
  /// not be called between a recorded statement and its backward.
  /// @throws shape_error if anything else differs, also the block size or the number of blocks, or if a sequence of a
  /// fused kernel has a past, but had none when the plan was computed
  void replace(std::vector<attention_segment> segments, block_table table = {}) {
    std::vector<attention_segment> same = segments;
    for (std::size_t s = 0; s < std::min(same.size(), shared_->segments.size()); ++s)
      same[s].past_begin = shared_->segments[s].past_begin, same[s].past_count = shared_->segments[s].past_count;
    if (same != shared_->segments || table.block_size != shared_->table.block_size ||
        table.blocks.size() != shared_->table.blocks.size())
      throw shape_error("attention: sequences to replace differ in more than their past");
    if (shared_->plan) shared_->plan->replace(segments, table);
    shared_->segments = std::move(segments), shared_->table = std::move(table);
  }
  /// The backend's plan, for elements of type T.
  template <class T>
  const typename Backend::attention_plan_type& plan(Backend& backend, const head_layout& layout) const {
    if (!shared_->plan || shared_->backend != &backend || shared_->layout != layout || shared_->bytes != sizeof(T)) {
      shared_->plan.emplace(backend.template plan_attention<T>(layout, shared_->segments, shared_->table));
      shared_->backend = &backend, shared_->layout = layout, shared_->bytes = sizeof(T);
    }
    return *shared_->plan;
  }

 private:
  struct shared {
    std::vector<attention_segment> segments;
    block_table table;   // block table of the past
    Backend* backend;    // backend of the plan
    head_layout layout;  // heads of the plan
    std::size_t bytes;   // size of an element of the plan
    std::optional<typename Backend::attention_plan_type> plan;
  };
  std::shared_ptr<shared> shared_;
};

/// y = softmax(q kᵀ / √E, over the visible keys) v, for each head. Query i of a sequence attends to the whole past, to
/// the tokens of its own sequence up to i and, if i ≥ soft_from, to the soft tokens. Tokens of no sequence become 0.
/// Sequences share no tokens, but they may share soft tokens.
/// @par Gradient with p the softmax and δ_i = Σ dy_i y_i: dv = pᵀ dy, ds = p (dy vᵀ − δ) / √E, dq = ds k, dk = dsᵀ q;
///               scores are computed again, tile by tile
/// @par Source   Vaswani et al. 2017; Ainslie et al. 2023 (grouped queries); Dao et al. 2022 (tiles)
template <class T, class Backend>
struct attention_op {
  static constexpr auto name = "attention";
  static constexpr int rank = 2;
  static constexpr bool reads_result = true;         ///< the gradient computes δ from y
  head_layout layout;                                ///< number and size of the heads
  attention_pattern<Backend> pattern;                ///< which tokens attend to which
  key_values<T, Backend> past;                       ///< past, constants (C, G·E), or none
  bool prefixed;                                     ///< whether the last two operands are soft tokens
  tensor<compute_type<T>, 2, Backend> log_sum = {};  ///< log Σ exp of the scores, saved for backward (N, H)

  /// (N, H·E), (N, G·E), (N, G·E), (M, G·E), (M, G·E) -> (N, H·E)
  template <class Q, class K, class V, class... Prefix>
  extents<2> shape(const Q& q, const K& k, const V& v, const Prefix&... prefix) const {
    const index_t width = layout.kv_heads * layout.head_size;
    const auto fits = [&](const auto& x, index_t columns) { return x.size(1) == columns; };
    if (!fits(q, layout.heads * layout.head_size) || !fits(k, width) || !fits(v, width) || k.size(0) != q.size(0) ||
        v.size(0) != q.size(0) || !(fits(prefix, width) && ...) || layout.heads % layout.kv_heads != 0)
      throw shape_error("attention: queries " + to_text(q.shape()) + ", keys " + to_text(k.shape()) + ", values " +
                        to_text(v.shape()) + " with " + std::to_string(layout.heads) + " heads, " +
                        std::to_string(layout.kv_heads) + " key/value heads of " + std::to_string(layout.head_size));
    const index_t past_rows = past.keys ? past.keys.size(0) : 0;
    const index_t prefix_rows = std::min({index_t(1) << 62, prefix.size(0)...});
    for (const attention_segment& s : pattern.segments())
      if (s.begin < 0 || s.count < 0 || s.begin + s.count > q.size(0) || !has_past(s, past_rows) || s.soft_begin < 0 ||
          s.soft_begin + s.soft_count > (prefixed ? prefix_rows : 0))
        throw shape_error("attention: a sequence of rows " + std::to_string(s.begin) + " to " +
                          std::to_string(s.begin + s.count) + " reaches outside of queries " + to_text(q.shape()) +
                          ", its past or its soft tokens");
    return q.shape();
  }
  /// Computes y.
  template <class Y, class... X>
  void forward(Backend& b, const Y& y, const X&... x) {
    log_sum = tensor<compute_type<T>, 2, Backend>(b, {y.size(0), layout.heads});
    index_t rows = 0;
    for (const attention_segment& s : pattern.segments()) rows += s.count;
    if (rows < y.size(0)) b.zero(y.write(), y.size());  // some tokens belong to no sequence
    auto a = arrays(x...);
    a.y = y.write(), a.log_sum = log_sum.write();
    b.attention(a, pattern.template plan<T>(b, layout));
  }
  /// Computes dq, dk, dv and the adjoints of the soft tokens.
  template <class Y, class... X>
  void backward(Backend& b, const Y& y, const X&... x) const {
    auto a = arrays(x...);
    a.y = const_cast<T*>(y.data()), a.log_sum = const_cast<compute_type<T>*>(log_sum.data());
    std::array<T*, sizeof...(X)> d;
    std::array<bool, sizeof...(X)> zeros;
    std::size_t number = 0;
    const auto prepare = [&](const auto& operand) {
      const auto [p, accumulates] = operand.adjoint();
      if (p && !accumulates) b.zero(p, operand.size());
      zeros[number] = !(p && accumulates), d[number++] = p;
    };
    (prepare(x), ...);
    attention_adjoints<T> to{y.gradient().data(), d[0], d[1], d[2], nullptr, nullptr, zeros[0] && zeros[1] && zeros[2]};
    if constexpr (sizeof...(X) == 5) to.dsoft_k = d[3], to.dsoft_v = d[4];
    b.attention_adjoint(a, to, pattern.template plan<T>(b, layout));
  }

 private:
  // Whether the KV slots of a sequence's past exist.
  bool has_past(const attention_segment& s, index_t rows) const {
    const block_table& table = pattern.table();
    if (s.past_begin < 0 || s.past_count < 0) return false;
    if (!table.block_size) return s.past_begin + s.past_count <= rows;
    const index_t end = s.past_begin + (s.past_count + table.block_size - 1) / table.block_size;
    if (end > index_t(table.blocks.size())) return false;
    return std::all_of(table.blocks.begin() + s.past_begin, table.blocks.begin() + end, [&](std::int32_t block) {
      return block >= 0 && (index_t(block) + 1) * table.block_size <= rows;
    });
  }
  template <class Q, class K, class V, class... Prefix>
  attention_arrays<T> arrays(const Q& q, const K& k, const V& v, const Prefix&... prefix) const {
    const T* soft[] = {prefix.data()..., nullptr, nullptr};
    return {layout,
            compute_type<T>(layout.score_scale()),
            q.data(),
            k.data(),
            v.data(),
            past.keys.data(),
            past.values.data(),
            {},
            soft[0],
            soft[1],
            nullptr,
            nullptr};
  }
};

/// Attention of q (N, H·E) over k and v (N, G·E), and over a past (C, G·E) if there is one -> (N, H·E). The past is a
/// constant: no adjoint is computed.
/// @throws shape_error (when evaluated) if extents, heads or segments do not fit
template <class T, class Backend, expression_of_rank<2> Q, expression_of_rank<2> K, expression_of_rank<2> V>
auto attention(head_layout layout, std::type_identity_t<attention_pattern<Backend>> pattern, const Q& q, const K& k,
               const V& v, key_values<T, Backend> past) {
  return operate(attention_op<T, Backend>{layout, std::move(pattern), std::move(past), false}, q, k, v);
}
/// The same with keys and values of soft tokens (M, G·E), whose adjoints are computed.
/// @throws shape_error (when evaluated) if extents, heads or segments do not fit
template <class T, class Backend, expression_of_rank<2> Q, expression_of_rank<2> K, expression_of_rank<2> V,
          expression_of_rank<2> PK, expression_of_rank<2> PV>
auto attention(head_layout layout, std::type_identity_t<attention_pattern<Backend>> pattern, const Q& q, const K& k,
               const V& v, key_values<T, Backend> past, const PK& soft_keys, const PV& soft_values) {
  return operate(attention_op<T, Backend>{layout, std::move(pattern), std::move(past), true}, q, k, v, soft_keys,
                 soft_values);
}

}  // namespace iapt
