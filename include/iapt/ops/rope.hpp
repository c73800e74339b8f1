// SPDX-License-Identifier: Apache-2.0
// Rotary positions: pairs of numbers of a head are turned by an angle that grows with the position.
// Shapes: N rows, E numbers in a head, any number of heads side by side.
#pragma once
#include <cstdint>

#include "iapt/expr/operation.hpp"

namespace iapt {

/// Elementwise kernel: each head's pairs (j, j + E/2) turn by the row's angles, forwards or back. Its rows are the
/// heads of all rows, its columns a head's pairs.
template <class T>
struct rope_kernel {
  using value_type = T;
  const T *x,           ///< heads (N·heads, E)
      *cos_sin;         ///< E/2 cosines, then E/2 sines of each row's angles (N, E)
  T* y;                 ///< result (N·heads, E)
  std::uint32_t heads;  ///< of a row; 32 bits, because a GPU takes five times as long to divide 64
  index_t head_size;    ///< E
  bool back;            ///< whether to turn the other way
  bool accumulates;     ///< whether y is added to what is there
  /// Pair j of head r.
  template <class Index>
  IAPT_DEVICE void operator()(index_t r, Index j) const {
    const index_t half = head_size / 2;
    const row<const T> cosine{cos_sin + std::uint32_t(r) / heads * head_size}, sine{cosine.p + half};
    const row<const T> a{x + r * head_size}, b{a.p + half};
    const row<T> u{y + r * head_size}, v{u.p + half};
    const auto c = cosine[j], s = back ? -sine[j] : sine[j];
    const auto first = a[j] * c - b[j] * s, second = b[j] * c + a[j] * s;
    u[j] = accumulates ? first + u(j) : first;
    v[j] = accumulates ? second + v(j) : second;
  }
};

/// Elementwise kernel: two of as many columns, one behind the other.
template <class Loop>
struct both_loops {
  using value_type = typename Loop::value_type;
  Loop first,    ///< one
      second;    ///< the other
  index_t rows;  ///< of the first
  /// Column j of row r of both.
  template <class Index>
  IAPT_DEVICE void operator()(index_t r, Index j) const {
    if (r < rows)
      first(r, j);
    else
      second(r - rows, j);
  }
};

/// y = x with every head's pairs (j, j + E/2) turned by the row's angles.
/// @par Gradient dx = dy turned back
/// @par Source   Su et al. 2021, "RoFormer"
struct rope_op {
  static constexpr auto name = "rope";
  static constexpr int rank = 2;

  /// (N, heads·E) and (N, E) -> (N, heads·E)
  template <class X, class A>
  extents<2> shape(const X& x, const A& cos_sin) const {
    if (x.size(0) != cos_sin.size(0) || cos_sin.size(1) == 0 || cos_sin.size(1) % 2 != 0 ||
        x.size(1) % cos_sin.size(1) != 0)
      throw shape_error("rope: rows of " + to_text(x.shape()) + " with angles of " + to_text(cos_sin.shape()));
    return x.shape();
  }
  /// Only the angles are read.
  template <class X, class A>
  std::array<bool, 2> reads(const X&, const A&) const {
    return {false, true};
  }
  /// y
  template <class Backend, class Y, class X, class A>
  void forward(Backend& b, const Y& y, const X& x, const A& cos_sin) const {
    turn(b, x.size(0), loop(x.data(), cos_sin, y.write(), x.size(1)));
  }
  /// y and z in one loop: a GPU that decodes takes longer to begin one than to run it.
  template <class Backend, class Y, class X, class A>
  void forward_both(Backend& b, const Y& y, const X& x, const A& cos_sin, const Y& z, const X& w,
                    const A& other_cos_sin) const {
    if (cos_sin.size(1) != other_cos_sin.size(1)) return forward(b, y, x, cos_sin), forward(b, z, w, other_cos_sin);
    const auto one = loop(x.data(), cos_sin, y.write(), x.size(1)),
               other = loop(w.data(), other_cos_sin, z.write(), w.size(1));
    const index_t rows = x.size(0) * one.heads;
    b.for_each(rows + w.size(0) * other.heads, cos_sin.size(1) / 2,
               both_loops<rope_kernel<typename X::value_type>>{one, other, rows});
  }
  /// dx
  template <class Backend, class Y, class X, class A>
  void backward(Backend& b, const Y& y, const X& x, const A& cos_sin) const {
    if (const auto [dx, accumulates] = x.adjoint(); dx)
      turn(b, x.size(0), loop(y.gradient().data(), cos_sin, dx, x.size(1), true, accumulates));
  }

 private:
  template <class T, class A>
  static rope_kernel<T> loop(const T* x, const A& cos_sin, T* y, index_t columns, bool back = false,
                             bool accumulates = false) {
    const index_t size = cos_sin.size(1);
    return {x, cos_sin.data(), y, std::uint32_t(columns / size), size, back, accumulates};
  }
  template <class Backend, class T>
  static void turn(Backend& b, index_t rows, const rope_kernel<T>& one) {
    b.for_each(rows * one.heads, one.head_size / 2, one);
  }
};

/// x (N, heads·E), cos_sin (N, E): E/2 cosines, then E/2 sines of each row's angles -> (N, heads·E). The angles are
/// constants.
/// @throws shape_error (when evaluated) if the extents do not fit
template <expression_of_rank<2> X, expression_of_rank<2> A>
auto rope(const X& x, const A& cos_sin) {
  return operate(rope_op{}, x, cos_sin);
}

}  // namespace iapt
