// SPDX-License-Identifier: Apache-2.0
// One layer of the transformer.  Shapes: N tokens, D hidden size.
#pragma once
#include "iapt/nn/attention.hpp"
#include "iapt/nn/mlp.hpp"
#include "iapt/nn/norm.hpp"

namespace iapt {

/// y = x + attention(norm(x)), then y + mlp(norm(y)).
template <class T, class Backend>
struct decoder_layer {
  norm_layer<T, Backend> attention_norm;  ///< norm before the attention
  attention_block<T, Backend> attention;  ///< first half of the layer
  norm_layer<T, Backend> mlp_norm;        ///< norm before the feed-forward
  gated_mlp<T, Backend> mlp;              ///< second half of the layer

  /// Computes the layer for x (N, D) and h = attention_norm(x): (N, D), and the keys and values of the tokens.
  /// @throws shape_error if the extents do not fit
  template <class Context, class Method>
  attention_result<T, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x, const tensor<T, 2, Backend>& h,
                                          const Method& method, int number,
                                          const attention_view<T, Backend>& view) const {
    auto [middle, own] = attention(ctx, h, method, number, view, x);
    return {mlp(ctx, mlp_norm(ctx, middle), method, number, middle), own};
  }

  /// Calls f(projection, map) for each linear map.
  template <class F>
  void each_linear(F f) {
    each_linear_of(*this, f);
  }
  /// The same for a constant layer.
  template <class F>
  void each_linear(F f) const {
    each_linear_of(*this, f);
  }
  /// Calls f(norm_part, norm) for each norm that the layer has.
  template <class F>
  void each_norm(F f) const {
    f(norm_part::attention, attention_norm), f(norm_part::mlp, mlp_norm);
    if (attention.query_norm.weight) f(norm_part::query, attention.query_norm);
    if (attention.key_norm.weight) f(norm_part::key, attention.key_norm);
  }

 private:
  template <class Layer, class F>
  static void each_linear_of(Layer& layer, F& f) {
    f(projection::query, layer.attention.query), f(projection::key, layer.attention.key);
    f(projection::value, layer.attention.value), f(projection::output, layer.attention.output);
    f(projection::gate, layer.mlp.gate), f(projection::up, layer.mlp.up), f(projection::down, layer.mlp.down);
  }
};

}  // namespace iapt
