// SPDX-License-Identifier: Apache-2.0
// Conversion of elements to another type.
#pragma once
#include <array>
#include <concepts>
#include <type_traits>

#include "iapt/expr/operation.hpp"

namespace iapt {

/// Elementwise kernel: y[i] (+)= x[i], from one type to another.
template <class From, class To>
struct cast_loop {
  using value_type = std::common_type_t<compute_type<From>,
                                        compute_type<To>>;  ///< a type that holds both
  row<const From> x;                                        ///< elements to convert
  row<To> y;                                                ///< converted elements
  bool accumulates;                                         ///< whether the elements are added to what is there
  /// Converts column j, or the columns of a vec.
  template <class V>
  IAPT_DEVICE void operator()(index_t, vec_index<V> j) const {
    const V v = x[j];
    y[j] = accumulates ? v + y(j) : v;
  }
};

/// y = x, with elements of type To.
/// @par Gradient dx = dy, with elements of x's type
template <class To, int Rank>
struct cast_op {
  static constexpr auto name = "cast";
  static constexpr int rank = Rank;
  template <class T>
  using result_type = To;  ///< element type of the result

  /// The extents of x.
  template <class X>
  extents<Rank> shape(const X& x) const {
    return x.shape();
  }
  /// The gradient reads no value.
  template <class X>
  std::array<bool, 1> reads(const X&) const {
    return {false};
  }
  /// Computes y.
  template <class Backend, class Y, class X>
  void forward(Backend& b, const Y& y, const X& x) const {
    b.for_each(1, x.size(), cast_loop<typename X::value_type, To>{{x.data()}, {y.write()}, false});
  }
  /// Computes dx.
  template <class Backend, class Y, class X>
  void backward(Backend& b, const Y& y, const X& x) const {
    if (const auto [dx, accumulates] = x.adjoint(); dx)
      b.for_each(1, x.size(), cast_loop<To, typename X::value_type>{{y.gradient().data()}, {dx}, accumulates});
  }
};

/// x with elements of type To, rounded if To has fewer bits; x itself if its elements have that type already.
template <class To, expression X>
auto cast(const X& x) {
  if constexpr (std::same_as<typename X::value_type, To>)
    return x;
  else
    return operate(cast_op<To, X::rank>{}, x);
}

}  // namespace iapt
