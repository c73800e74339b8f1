// SPDX-License-Identifier: Apache-2.0
// Repeats columns, e.g. a head's gain for all elements of the head.  Shapes: N rows, G groups of E columns.
#pragma once
#include "iapt/expr/operation.hpp"

namespace iapt {

/// Team kernel: y[r, g·E + e] = x[r, g].
template <class T>
struct repeat_columns_row {
  using value_type = T;
  const T* x;      ///< (N, G)
  T* y;            ///< (N, G·E)
  index_t groups,  ///< G
      times;       ///< E
  /// Computes row r.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t r) const {
    for (index_t g = 0; g < groups; ++g) {
      const compute_type<T> value = x[r * groups + g];
      const row<T> to{y + (r * groups + g) * times};
      team.for_each(times, [&]<class V>(vec_index<V> j) { to[j] = V(value); });
    }
  }
};
/// Team kernel: dx[r, g] (+)= Σ_e dy[r, g·E + e].
template <class T>
struct repeat_columns_adjoint {
  using value_type = T;
  const T* dy;       ///< (N, G·E)
  T* dx;             ///< (N, G)
  index_t groups,    ///< G
      times;         ///< E
  bool accumulates;  ///< whether dx is added to what is there
  /// Computes row r.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t r) const {
    for (index_t g = 0; g < groups; ++g) {
      const row<const T> from{dy + (r * groups + g) * times};
      const auto s = team.sum(times, [&](auto j) { return from[j]; });
      T& to = dx[r * groups + g];
      team.single([&] { to = accumulates ? to + s : s; });
    }
  }
};

/// y[r, g·E + e] = x[r, g].
/// @par Gradient dx[r, g] = Σ_e dy[r, g·E + e]
struct repeat_columns_op {
  static constexpr auto name = "repeat_columns";
  static constexpr int rank = 2;
  index_t times;  ///< E
  /// (N, G) -> (N, G·E)
  template <class X>
  extents<2> shape(const X& x) const {
    return {x.size(0), x.size(1) * times};
  }
  /// The gradient reads no value.
  template <class X>
  std::array<bool, 1> reads(const X&) const {
    return {false};
  }
  /// Computes y.
  template <class Backend, class Y, class X>
  void forward(Backend& b, const Y& y, const X& x) const {
    using T = typename Y::value_type;
    b.for_each_team(x.size(0), y.size(1), repeat_columns_row<T>{x.data(), y.write(), x.size(1), times});
  }
  /// Computes dx.
  template <class Backend, class Y, class X>
  void backward(Backend& b, const Y& y, const X& x) const {
    using T = typename Y::value_type;
    if (const auto [dx, accumulates] = x.adjoint(); dx)
      b.for_each_team(x.size(0), y.size(1),
                      repeat_columns_adjoint<T>{y.gradient().data(), dx, x.size(1), times, accumulates});
  }
};

/// x (N, G) -> (N, G·times): each element is repeated in `times` columns.
template <expression_of_rank<2> X>
auto repeat_columns(const X& x, index_t times) {
  return operate(repeat_columns_op{times}, x);
}

}  // namespace iapt
