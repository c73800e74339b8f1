// SPDX-License-Identifier: Apache-2.0
// The attention half of a layer.  Shapes: N tokens, D hidden size, H heads, G key/value heads, E elements of a head.
#pragma once
#include <optional>
#include <tuple>

#include "iapt/nn/linear.hpp"
#include "iapt/nn/norm.hpp"
#include "iapt/nn/rope.hpp"
#include "iapt/ops/attention.hpp"

namespace iapt {

/// Inputs of an attention besides its hidden states.
template <class T, class Backend>
struct attention_view {
  attention_pattern<Backend> pattern;                 ///< which tokens attend to which
  tensor<T, 2, Backend> cos_sin;                      ///< cosines and sines of the tokens (N, E)
  key_values<T, Backend> past = {};                   ///< keys and values of the past, or none
  std::optional<key_values<T, Backend>> prefix = {};  ///< keys and values of the soft tokens, or none
};
/// Result of an attention, and what a cache stores.
template <class T, class Backend>
struct attention_result {
  tensor<T, 2, Backend> y;     ///< the result (N, D)
  key_values<T, Backend> own;  ///< keys and values of the tokens (N, G·E)
};

/// Causal grouped-query self-attention with RoPE.
template <class T, class Backend>
struct attention_block {
  head_layout layout;                      ///< H, G and E
  linear<T, Backend> query;                ///< (H·E, D)
  linear<T, Backend> key;                  ///< (G·E, D)
  linear<T, Backend> value;                ///< (G·E, D)
  linear<T, Backend> output;               ///< (D, H·E)
  norm_layer<T, Backend> query_norm = {};  ///< (E), of each head of the queries before RoPE, or empty
  norm_layer<T, Backend> key_norm = {};    ///< (E), of each head of the keys before RoPE, or empty
  bool has_rope = true;                    ///< whether queries and keys are rotated by their positions

  /// The keys of rows before RoPE, as attention and soft tokens have them.   x (N, D) -> (N, G·E)
  template <class Context, class Method = no_method>
  tensor<T, 2, Backend> project_key(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method = {},
                                    int layer = 0) const {
    return normalized(ctx, key_norm, key(ctx, x, method, {layer, projection::key}));
  }
  /// Keys as attention compares them: rotated, if the layer has RoPE.   x (N, G·E), tensor or expression
  template <class Context, class X>
  tensor<T, 2, Backend> rotated(Context& ctx, const X& x, const tensor<T, 2, Backend>& cos_sin) const {
    return has_rope ? ctx(rope(x, cos_sin)) : ctx(x);
  }
  /// The values of rows.   x (N, D) -> (N, G·E)
  template <class Context, class Method = no_method>
  tensor<T, 2, Backend> project_value(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method = {},
                                      int layer = 0) const {
    return value(ctx, x, method, {layer, projection::value});
  }

  /// Computes x (N, D) -> (N, D), plus the residual if there is one, and the keys and values of the tokens.
  /// @throws shape_error if the extents do not fit
  template <class Context, class Method>
  attention_result<T, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method, int layer,
                                          const attention_view<T, Backend>& view,
                                          const tensor<T, 2, Backend>& residual = {}) const {
    auto q = query(ctx, x, method, {layer, projection::query});  // matmuls first: a GPU overlaps them
    auto k = key(ctx, x, method, {layer, projection::key});
    auto v = project_value(ctx, x, method, layer);
    q = normalized(ctx, query_norm, q), k = normalized(ctx, key_norm, k);
    if (has_rope) std::tie(q, k) = ctx(rope(q, view.cos_sin), rope(k, view.cos_sin));
    auto y = view.prefix
                 ? ctx(attention(layout, view.pattern, q, k, v, view.past, view.prefix->keys, view.prefix->values))
                 : ctx(attention(layout, view.pattern, q, k, v, view.past));
    return {output(ctx, y, method, {layer, projection::output}, residual), {k, v}};
  }

 private:
  // Each head of each row.   x (N, n·E) -> (N, n·E)
  template <class Context>
  static tensor<T, 2, Backend> normalized(Context& ctx, const norm_layer<T, Backend>& norm,
                                          const tensor<T, 2, Backend>& x) {
    if (!norm.weight) return x;
    const index_t E = norm.weight.size();
    return norm(ctx, x.reshape(extents<2>{x.size() / E, E})).reshape(x.shape());
  }
};

}  // namespace iapt
