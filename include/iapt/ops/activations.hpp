// SPDX-License-Identifier: Apache-2.0
// Fixed elementwise activation functions.
#pragma once
#include <cmath>
#include <numbers>

#include "iapt/expr/fused.hpp"
#include "iapt/expr/scalar_math.hpp"

namespace iapt {

/// σ(x) = 1 / (1 + exp(−x))
template <class V>
IAPT_DEVICE V logistic(V x) {
  using std::exp;
  return V(1) / (V(1) + exp(-x));
}

/// Sigmoid-weighted linear unit: y = x · σ(x).
/// @par Gradient dx = dy · (σ(x) + y · (1 − σ(x)))
/// @par Source   Elfwing et al. 2017
struct silu_fn {
  static constexpr auto name = "silu";
  /// x · σ(x)
  template <class V>
  IAPT_DEVICE static V forward(V x) {
    return x * logistic(x);
  }
  /// Adjoint of x.
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V x, V y) {
    const V s = logistic(x);
    return adjoints(dy * (s + y * (V(1) - s)));
  }
};
/// Gaussian error linear unit, the exact form: y = x · Φ(x), Φ(x) = (1 + erf(x/√2)) / 2.
/// @par Gradient dx = dy · (Φ(x) + x · φ(x)), φ the normal density
/// @par Source   Hendrycks and Gimpel 2016
struct gelu_fn {
  static constexpr auto name = "gelu";
  /// Φ(x)
  template <class V>
  IAPT_DEVICE static V normal_cdf(V x) {
    using std::erf;
    return V(0.5) * (V(1) + erf(x * V(std::numbers::sqrt2 / 2)));
  }
  /// x · Φ(x)
  template <class V>
  IAPT_DEVICE static V forward(V x) {
    return x * normal_cdf(x);
  }
  /// Adjoint of x.
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V x, V) {
    using std::exp;
    const V density = exp(x * x * V(-0.5)) * V(std::numbers::inv_sqrtpi * std::numbers::sqrt2 / 2);
    return adjoints(dy * (normal_cdf(x) + x * density));
  }
};
/// y = max(x, 0);  dx = dy where x > 0, else 0
struct relu_fn {
  static constexpr auto name = "relu";
  /// max(x, 0)
  template <class V>
  IAPT_DEVICE static V forward(V x) {
    return where_positive(x, x, V(0));
  }
  /// Adjoint of x.
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V x, V) {
    return adjoints(where_positive(x, dy, V(0)));
  }
};
/// y = tanh(x);  dx = dy · (1 − y²)
struct tanh_fn {
  static constexpr auto name = "tanh";
  /// tanh(x)
  template <class V>
  IAPT_DEVICE static V forward(V x) {
    using std::tanh;
    return tanh(x);
  }
  /// Adjoint of x.
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V, V y) {
    return adjoints(dy * (V(1) - y * y));
  }
};

inline constexpr elementwise<silu_fn> silu;             ///< y = x · σ(x)
inline constexpr elementwise<gelu_fn> gelu;             ///< y = x · Φ(x)
inline constexpr elementwise<relu_fn> relu;             ///< y = max(x, 0)
inline constexpr elementwise<tanh_fn> tanh_activation;  ///< y = tanh(x); the C library has the name `tanh`

}  // namespace iapt
