// SPDX-License-Identifier: Apache-2.0
// Sums over all elements.
#pragma once
#include "iapt/expr/loops.hpp"
#include "iapt/expr/operation.hpp"
#include "iapt/ops/arithmetic.hpp"

namespace iapt {

/// Elementwise kernel: dx[i] (+)= dy, a scalar in memory.
template <class T>
struct spread_scalar {
  using value_type = T;
  const T* dy;       ///< the scalar
  row<T> dx;         ///< where the adjoint is written
  bool accumulates;  ///< whether dy is added to what is there
  /// Writes column j, or the columns of a vec.
  template <class V>
  IAPT_DEVICE void operator()(index_t, vec_index<V> j) const {
    const V d(compute_type<T>{*dy});
    dx[j] = accumulates ? d + dx(j) : d;
  }
};

/// y = Σ x over all elements.
/// @par Gradient dx = dy for all elements
struct sum_op {
  static constexpr auto name = "sum";
  static constexpr int rank = 0;
  /// The extents of a scalar.
  template <class X>
  extents<0> shape(const X&) const {
    return {};
  }
  /// The gradient reads no value.
  template <class X>
  std::array<bool, 1> reads(const X&) const {
    return {false};
  }
  /// Computes y.
  template <class Backend, class Y, class X>
  void forward(Backend& b, const Y& y, const X& x) const {
    b.for_each_team(1, x.size(), fold_columns<typename Y::value_type>{{x.data()}, y.write(), x.size(), false});
  }
  /// Computes dx.
  template <class Backend, class Y, class X>
  void backward(Backend& b, const Y& y, const X& x) const {
    if (const auto [dx, accumulates] = x.adjoint(); dx)
      b.for_each(1, x.size(), spread_scalar<typename Y::value_type>{y.gradient().data(), {dx}, accumulates});
  }
};

/// Σ of all elements -> scalar
template <expression X>
auto sum(const X& x) {
  return operate(sum_op{}, x);
}

}  // namespace iapt
