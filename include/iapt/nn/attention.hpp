// SPDX-License-Identifier: Apache-2.0
// The attention half of a layer.  Shapes: N rows, D hidden size, H heads, G key/value heads, E numbers in a head.
#pragma once
#include <optional>
#include <tuple>

#include "iapt/nn/linear.hpp"
#include "iapt/nn/rope.hpp"
#include "iapt/ops/attention.hpp"

namespace iapt {

/// What an attention needs to know of the rows: where sequences stand, their angles, and what else they see.
template <class T, class Backend>
struct attention_view {
  attention_pattern<Backend> pattern;                 ///< which rows see which
  tensor<T, 2, Backend> cos_sin;                      ///< rotary angles of the rows (N, E)
  key_values<T, Backend> past = {};                   ///< rows of a cache, or none
  std::optional<key_values<T, Backend>> prefix = {};  ///< soft tokens, or none
};
/// What an attention leaves behind for a cache.
template <class T, class Backend>
struct attention_result {
  tensor<T, 2, Backend> y;     ///< (N, D)
  key_values<T, Backend> own;  ///< the rows' keys and values (N, G·E)
};

/// Causal grouped-query self-attention with rotary positions.
template <class T, class Backend>
struct attention_block {
  head_layout layout;         ///< H, G and E
  linear<T, Backend> query;   ///< (H·E, D)
  linear<T, Backend> key;     ///< (G·E, D)
  linear<T, Backend> value;   ///< (G·E, D)
  linear<T, Backend> output;  ///< (D, H·E)

  /// x (N, D) -> (N, D), added to the residual if there is one, and the rows' keys and values.
  /// @throws shape_error if the extents do not fit
  template <class Context, class Method>
  attention_result<T, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method, int layer,
                                          const attention_view<T, Backend>& view,
                                          const tensor<T, 2, Backend>& residual = {}) const {
    auto q = query(ctx, x, method, {layer, projection::query});  // the products first: a GPU runs them side by side
    auto k = key(ctx, x, method, {layer, projection::key});
    auto v = value(ctx, x, method, {layer, projection::value});
    std::tie(q, k) = ctx(rope(q, view.cos_sin), rope(k, view.cos_sin));
    auto y = view.prefix
                 ? ctx(attention(layout, view.pattern, q, k, v, view.past, view.prefix->keys, view.prefix->values))
                 : ctx(attention(layout, view.pattern, q, k, v, view.past));
    return {output(ctx, y, method, {layer, projection::output}, residual), {k, v}};
  }
};

}  // namespace iapt
