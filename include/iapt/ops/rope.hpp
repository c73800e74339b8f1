// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (RoPE): rotates pairs of elements of a head by an angle that grows with the position.
// Shapes: N tokens, E elements of a head, any number of heads side by side.
#pragma once
#include <cstdint>

#include "iapt/expr/operation.hpp"

namespace iapt {

/// Elementwise kernel: rotates each head's pairs (j, j + E/2) by the token's angles, forwards or backwards. Its rows
/// are the heads of all tokens, its columns the pairs of a head.
template <class T>
struct rope_kernel {
  using value_type = T;
  const T *x,           ///< heads (N·heads, E)
      *cos_sin;         ///< E/2 cosines, then E/2 sines of each token's angles (N, E)
  T* y;                 ///< result (N·heads, E)
  std::uint32_t heads;  ///< heads of a token; 32 bits, because a GPU divides 64 bits five times slower
  index_t head_size;    ///< E
  bool back;            ///< whether to rotate backwards
  bool accumulates;     ///< whether y is added to what is there
  /// Rotates pair j of head r.
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

/// Elementwise kernel: two kernels with the same number of columns; the rows of the second follow those of the first.
template <class Loop>
struct both_loops {
  using value_type = typename Loop::value_type;
  Loop first,    ///< the first kernel
      second;    ///< the second kernel
  index_t rows;  ///< number of rows of the first kernel
  /// Computes column j of row r of both kernels.
  template <class Index>
  IAPT_DEVICE void operator()(index_t r, Index j) const {
    if (r < rows)
      first(r, j);
    else
      second(r - rows, j);
  }
};

/// y = x, with each head's pairs (j, j + E/2) rotated by the token's angles.
/// @par Gradient dx = dy rotated backwards
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
  /// The gradient reads only the cosines and sines.
  template <class X, class A>
  std::array<bool, 2> reads(const X&, const A&) const {
    return {false, true};
  }
  /// Computes y.
  template <class Backend, class Y, class X, class A>
  void forward(Backend& b, const Y& y, const X& x, const A& cos_sin) const {
    turn(b, x.size(0), loop(x.data(), cos_sin, y.write(), x.size(1)));
  }
  /// Computes y and z in one kernel: in decode, a GPU takes longer to launch a kernel than to run it.
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
  /// Computes dx.
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

/// x (N, heads·E), cos_sin (N, E): E/2 cosines, then E/2 sines of each token's angles -> (N, heads·E). cos_sin is a
/// constant.
/// @throws shape_error (when evaluated) if the extents do not fit
template <expression_of_rank<2> X, expression_of_rank<2> A>
auto rope(const X& x, const A& cos_sin) {
  return operate(rope_op{}, x, cos_sin);
}

}  // namespace iapt
