// SPDX-License-Identifier: Apache-2.0
// The linear map, with the hook points of a site.
#pragma once
#include "iapt/nn/hooks.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/weight_matrix.hpp"

namespace iapt {

/// y = x · weightᵀ + bias.   x (N, in) -> (N, out)
template <class T, class Backend>
struct linear {
  weight_matrix<T, Backend> weight;  ///< (out, in)
  tensor<T, 1, Backend> bias = {};   ///< (out), or empty

  /// Without hooks.
  /// @throws shape_error if a row of x is not `in` long
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x) const {
    return biased(ctx, ctx(matmul(x, transposed(weight))));
  }
  /// With what a method adds to this site.
  /// @throws shape_error if a row of x is not `in` long
  template <class Context, class Method>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x, const Method& method,
                                   site where) const {
    tensor<T, 2, Backend> y;
    if constexpr (requires { method.delta(ctx, where, x); })
      if (auto delta = method.delta(ctx, where, x)) y = biased(ctx, ctx(addmm(delta, matmul(x, transposed(weight)))));
    if (!y) y = (*this)(ctx, x);
    if constexpr (requires { method.scale(where); })
      if (auto scale = method.scale(where)) y = ctx(y * scale);
    if constexpr (requires { method.bias(where); })
      if (auto offset = method.bias(where)) y = ctx(y + offset);
    return y;
  }

 private:
  template <class Context>
  tensor<T, 2, Backend> biased(Context& ctx, tensor<T, 2, Backend> y) const {
    return bias ? ctx(y + bias) : y;
  }
};

}  // namespace iapt
