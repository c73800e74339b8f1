// SPDX-License-Identifier: Apache-2.0
// The gated feed-forward half of a layer.
#pragma once
#include "iapt/nn/linear.hpp"
#include "iapt/ops/activations.hpp"

namespace iapt {

/// down(silu(gate(x)) · up(x)).   x (N, D) -> (N, D)
/// @par Source Shazeer 2020, "GLU variants improve transformer"
template <class T, class Backend>
struct gated_mlp {
  linear<T, Backend> gate;  ///< (F, D)
  linear<T, Backend> up;    ///< (F, D)
  linear<T, Backend> down;  ///< (D, F)

  /// Computes one layer's feed-forward, plus the residual (N, D) if there is one.
  /// @throws shape_error if a row of x is not D long
  template <class Context, class Method>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method, int layer,
                                   const tensor<T, 2, Backend>& residual = {}) const {
    auto g = gate(ctx, x, method, {layer, projection::gate});
    auto u = up(ctx, x, method, {layer, projection::up});
    auto h = ctx(silu(g) * u);  // one statement: one loop, one tape entry
    return down(ctx, h, method, {layer, projection::down}, residual);
  }
};

}  // namespace iapt
