// SPDX-License-Identifier: Apache-2.0
// Elementwise sums, differences and products. An operand of lower rank is repeated over the leading extents.
#pragma once
#include "iapt/expr/fused.hpp"

namespace iapt {

/// y = a + b;  da = dy, db = dy
struct add_fn {
  static constexpr auto name = "add";
  static constexpr bool linear = true;  ///< the gradient reads no value
  /// a + b
  template <class V>
  IAPT_DEVICE static V forward(V a, V b) {
    return a + b;
  }
  /// Adjoints of a and b.
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V, V, V) {
    return adjoints(dy, dy);
  }
};
/// y = a − b;  da = dy, db = −dy
struct subtract_fn {
  static constexpr auto name = "subtract";
  static constexpr bool linear = true;  ///< the gradient reads no value
  /// a − b
  template <class V>
  IAPT_DEVICE static V forward(V a, V b) {
    return a - b;
  }
  /// Adjoints of a and b.
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V, V, V) {
    return adjoints(dy, -dy);
  }
};
/// y = a · b;  da = dy · b, db = dy · a
struct multiply_fn {
  static constexpr auto name = "multiply";
  /// a · b
  template <class V>
  IAPT_DEVICE static V forward(V a, V b) {
    return a * b;
  }
  /// Adjoints of a and b.
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V a, V b, V) {
    return adjoints(dy * b, dy * a);
  }
};

/// Elementwise sum.
template <class X, class Y>
requires(expression<X> || expression<Y>) auto operator+(const X& x, const Y& y) { return fuse<add_fn>(x, y); }
/// Elementwise difference.
template <class X, class Y>
requires(expression<X> || expression<Y>) auto operator-(const X& x, const Y& y) { return fuse<subtract_fn>(x, y); }
/// Elementwise product.
template <class X, class Y>
requires(expression<X> || expression<Y>) auto operator*(const X& x, const Y& y) { return fuse<multiply_fn>(x, y); }
/// Elementwise negation.
template <expression X>
auto operator-(const X& x) {
  return fuse<multiply_fn>(x, -1);
}

}  // namespace iapt
