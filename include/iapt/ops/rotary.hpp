// SPDX-License-Identifier: Apache-2.0
// Rotary positions: pairs of numbers of a head are turned by an angle that grows with the position.
// Shapes: N rows, E numbers in a head, any number of heads side by side.
#pragma once
#include "iapt/expr/operation.hpp"

namespace iapt {

/// Row kernel: each head's pairs (j, j + E/2) turn by the row's angles, forwards or back.
template <class T>
struct rotary_row {
  using value_type = T;  ///< type of one number
  const T *x,            ///< rows (N, heads·E)
      *turns;            ///< E/2 cosines, then E/2 sines of each row's angles (N, E)
  T* y;                  ///< result (N, heads·E)
  extent columns,        ///< heads·E
      head_size;         ///< E
  bool back;             ///< whether to turn the other way
  bool accumulates;      ///< whether y is added to what is there
  /// Row r.
  template <class Group>
  IAPT_DEVICE void operator()(Group group, extent r) const {
    const extent half = head_size / 2;
    const row<const T> cosine{turns + r * head_size}, sine{cosine.p + half};
    for (extent h = 0; h < columns; h += head_size) {
      const row<const T> a{x + r * columns + h}, b{a.p + half};
      const row<T> u{y + r * columns + h}, v{u.p + half};
      group.each(half, [&](auto j) {
        const auto c = cosine[j], s = back ? -sine[j] : sine[j];
        const auto first = a[j] * c - b[j] * s, second = b[j] * c + a[j] * s;
        u[j] = accumulates ? first + u(j) : first;
        v[j] = accumulates ? second + v(j) : second;
      });
    }
  }
};

/// y = x with every head's pairs (j, j + E/2) turned by the row's angles.
/// @par Gradient dx = dy turned back
/// @par Source   Su et al. 2021, "RoFormer"
struct rotary_op {
  static constexpr auto name = "rotary";  ///< for messages
  static constexpr int rank = 2;          ///< of the result

  /// (N, heads·E) and (N, E) -> (N, heads·E)
  template <class X, class A>
  extents<2> shape(const X& x, const A& turns) const {
    if (x.size(0) != turns.size(0) || turns.size(1) == 0 || turns.size(1) % 2 != 0 || x.size(1) % turns.size(1) != 0)
      throw shape_error("rotary: rows of " + to_text(x.shape()) + " with angles of " + to_text(turns.shape()));
    return x.shape();
  }
  /// Only the angles are read.
  template <class X, class A>
  std::array<bool, 2> reads(const X&, const A&) const {
    return {false, true};
  }
  /// y
  template <class Backend, class Y, class X, class A>
  void forward(Backend& b, const Y& y, const X& x, const A& turns) const {
    using T = typename Y::value_type;
    b.groups(x.size(0), x.size(1),
             rotary_row<T>{x.data(), turns.data(), y.write(), x.size(1), turns.size(1), false, false});
  }
  /// dx
  template <class Backend, class Y, class X, class A>
  void backward(Backend& b, const Y& y, const X& x, const A& turns) const {
    using T = typename Y::value_type;
    if (const auto [dx, accumulates] = x.adjoint(); dx)
      b.groups(x.size(0), x.size(1),
               rotary_row<T>{y.gradient().data(), turns.data(), dx, x.size(1), turns.size(1), true, accumulates});
  }
};

/// x (N, heads·E), turns (N, E): E/2 cosines, then E/2 sines of each row's angles -> (N, heads·E). The angles are
/// constants.
/// @throws shape_error (when evaluated) if the extents do not fit
template <expression_of_rank<2> X, expression_of_rank<2> A>
auto rotary(const X& x, const A& turns) {
  return operate(rotary_op{}, x, turns);
}

}  // namespace iapt
