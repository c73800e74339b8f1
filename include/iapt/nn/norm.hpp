// SPDX-License-Identifier: Apache-2.0
// The normalisation layer.
#pragma once
#include "iapt/ops/rms_norm.hpp"

namespace iapt {

/// The norms of a layer; few families have those of queries and keys.
enum class norm_part { attention, mlp, query, key };

/// Scales each row to a root mean square of 1, and multiplies it by a weight.   x (N, D) -> (N, D)
template <class T, class Backend>
struct norm_layer {
  tensor<T, 1, Backend> weight;  ///< (D)
  double epsilon = 1e-5;         ///< added to the mean square

  /// Normalizes each row of x.
  /// @throws shape_error if a row is not D long
  template <class Context>
  tensor<T, 2, Backend> operator()(Context& ctx, const tensor<T, 2, Backend>& x) const {
    return ctx(rms_norm(x, weight, epsilon));
  }
};

}  // namespace iapt
