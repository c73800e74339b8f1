// SPDX-License-Identifier: Apache-2.0
// The attention half of a layer.  Shapes: N tokens, D hidden size, H heads, G key/value heads, E elements of a head.
#pragma once
#include <optional>
#include <tuple>

#include "iapt/nn/linear.hpp"
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
  head_layout layout;         ///< H, G and E
  linear<T, Backend> query;   ///< (H·E, D)
  linear<T, Backend> key;     ///< (G·E, D)
  linear<T, Backend> value;   ///< (G·E, D)
  linear<T, Backend> output;  ///< (D, H·E)

  /// The keys of rows before RoPE, as attention and soft tokens have them.   x (N, D) -> (N, G·E)
  template <class Context, class Method = no_method>
  tensor<T, 2, Backend> project_key(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method = {},
                                    int layer = 0) const {
    return key(ctx, x, method, {layer, projection::key});
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
    auto k = project_key(ctx, x, method, layer);
    auto v = project_value(ctx, x, method, layer);
    std::tie(q, k) = ctx(rope(q, view.cos_sin), rope(k, view.cos_sin));
    auto y = view.prefix
                 ? ctx(attention(layout, view.pattern, q, k, v, view.past, view.prefix->keys, view.prefix->values))
                 : ctx(attention(layout, view.pattern, q, k, v, view.past));
    return {output(ctx, y, method, {layer, projection::output}, residual), {k, v}};
  }
};

}  // namespace iapt
