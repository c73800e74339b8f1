// SPDX-License-Identifier: Apache-2.0
// The linear map, with the hooks of a target module.
#pragma once
#include "iapt/nn/hooks.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/cast.hpp"
#include "iapt/ops/weight_matrix.hpp"

namespace iapt {

/// y = x · weightᵀ + bias.   x (N, in) -> (N, out)
template <class T, class Backend>
struct linear {
  weight_matrix<T, Backend> weight;  ///< (out, in)
  tensor<T, 1, Backend> bias = {};   ///< (out), or empty
  double residual_scale = 1;         ///< factor of y in a residual sum

  /// Computes y without hooks.
  /// @throws shape_error if a row of x is not `in` long
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x) const {
    return biased(ctx, ctx(matmul(x, transposed(weight))));
  }
  /// Computes y with the hooks of a target module, plus the residual (the input of a half layer) if there is one.
  /// @throws shape_error if a row of x is not `in` long
  template <class Context, class Method>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method,
                                   target_module where, const tensor<T, 2, Backend>& residual = {}) const {
    using real = compute_type<T>;  // a vector near 1 would be 1 in bfloat16
    const bool scales = uses(method, hook::scale), offsets = uses(method, hook::bias),
               replaces = uses(method, hook::after);
    const auto product = matmul(x, transposed(weight));
    tensor<T, 2, Backend> y;
    if constexpr (declares<Method>(hook::delta))
      if (auto delta = method.delta(ctx, where, x)) y = ctx(addmm(delta, product));
    if (!y) {
      if (residual && !bias && !scales && !offsets && !replaces && residual_scale == 1) return ctx(residual + product);
      y = ctx(product);
    }
    y = biased(ctx, y);
    if constexpr (declares<Method>(hook::scale))
      if (auto scale = method.scale(ctx, where)) y = ctx(cast<T>(cast<real>(y) * cast<real>(scale)));
    if constexpr (declares<Method>(hook::bias))
      if (auto offset = method.bias(ctx, where)) y = ctx(cast<T>(cast<real>(y) + cast<real>(offset)));
    if (!residual) return y;
    if constexpr (declares<Method>(hook::after))
      if (replaces) y = method.after(ctx, where.layer, half_of(where.part), residual, y);
    return residual_scale == 1 ? ctx(residual + y) : ctx(residual + y * T(residual_scale));
  }

 private:
  template <class Context>
  tensor<T, 2, Backend> biased(Context& ctx, tensor<T, 2, Backend> y) const {
    return bias ? ctx(y + bias) : y;
  }
};

}  // namespace iapt
