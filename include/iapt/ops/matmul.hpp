// SPDX-License-Identifier: Apache-2.0
// Matrix products.
#pragma once
#include <array>
#include <string>

#include "iapt/backend/concept.hpp"
#include "iapt/expr/loops.hpp"
#include "iapt/expr/operation.hpp"

namespace iapt {

/// y = x · w, or x · wᵀ for weights that are stored (out, in).
/// @par Gradient dx = dy · wᵀ, dw = xᵀ · dy; a constant operand needs no matmul and no memory
struct matmul_op {
  static constexpr auto name = "matmul";
  static constexpr int rank = 2;
  static constexpr bool is_product = true;  ///< can be added to a matrix while it is computed
  bool by_rows = false;                     ///< whether w is (out, in)

  /// (N, K) and (K, M), or (M, K) if by_rows -> (N, M)
  template <class X, class W>
  extents<2> shape(const X& x, const W& w) const {
    const index_t inner = w.size(by_rows ? 1 : 0), outer = w.size(by_rows ? 0 : 1);
    if (x.size(1) != inner) {
      const bool other_way = x.size(1) == outer;
      throw shape_error("matmul: inner extents differ: " + to_text(x.shape()) + " × " + to_text(w.shape()) +
                        (by_rows ? " transposed" : "") +
                        (!other_way ? ""
                         : by_rows  ? "\n      did you mean matmul(x, w)?"
                                    : "\n      did you mean matmul(x, transposed(w))?"));
    }
    return {x.size(0), outer};
  }
  /// The gradient of each operand reads the other operand.
  template <class X, class W>
  std::array<bool, 2> reads(const X& x, const W& w) const {
    return {w.tracked(), x.tracked()};
  }
  /// Computes y = x · w, or addend (N, M) + x · w; addmm_op says how often the result is rounded.
  template <class Backend, class Y, class X, class W, class T = typename Y::value_type>
  void forward(Backend& b, const Y& y, const X& x, const W& w, const T* addend = nullptr, bool once = false) const {
    T* const to = y.write();
    if constexpr (requires { b.add_product(0, 0, 0, of(x), of(x), addend, to, once); })
      if (addend) return b.add_product(y.size(0), y.size(1), x.size(1), of(x), of(w, by_rows), addend, to, once);
    const bool first = addend && once;  // the product is added to the addend
    if (first) b.copy(to, addend, y.size());
    product(b, to, y.shape(), x.size(1), of(x), of(w, by_rows), first);
    if (addend && !once) add(b, addend, to, y.size());
  }
  /// y += x, for n elements.
  template <class Backend, class T>
  static void add(Backend& b, const T* x, T* y, index_t n) {
    b.for_each(1, n, fold_chunks<T>{{x}, {y}, 1, n, true});
  }
  /// Computes dx and dw.
  template <class Backend, class Y, class X, class W>
  void backward(Backend& b, const Y& y, const X& x, const W& w) const {
    const auto dy = y.gradient();
    if (const auto [dx, accumulates] = x.adjoint(); dx)
      product(b, dx, x.shape(), y.size(1), of(dy), of(w, !by_rows), accumulates);
    if (const auto [dw, accumulates] = w.adjoint(); dw) {
      if (by_rows)
        product(b, dw, w.shape(), y.size(0), of(dy, true), of(x), accumulates);
      else
        product(b, dw, w.shape(), y.size(0), of(x, true), of(dy), accumulates);
    }
  }

 private:
  template <class X>
  static matrix_ref<const typename X::value_type> of(const X& x, bool transposed = false) {
    return {x.data(), x.size(1), transposed};
  }
  template <class Backend, class T>
  static void product(Backend& b, T* c, const extents<2>& n, index_t inner, matrix_ref<const T> left,
                      matrix_ref<const T> right, bool accumulates) {
    b.template matmul<T>(n[0], n[1], inner, left, right, {c, n[1]}, accumulates);
  }
};

/// Whether an operation is a matrix product, which can be added to a matrix while it is computed.
template <class Op>
concept matrix_product = Op::is_product;

/// y = c + a matrix product.
/// @par Gradient dc = dy; the other adjoints are those of the product
template <matrix_product Product>
struct addmm_op {
  static constexpr auto name = "addmm";
  static constexpr int rank = 2;
  Product product;  ///< the matrix product of the other operands
  bool once;        ///< whether to round only once: in bfloat16, if the product is rounded first, elements of c that
                    ///< are much smaller get lost

  /// The extents of the product; c must have them too.
  template <class C, class X, class W>
  extents<2> shape(const C& c, const X& x, const W& w) const {
    const extents<2> n = product.shape(x, w);
    if (c.shape() != n)
      throw shape_error((once ? "addmm: " : "add: ") + to_text(c.shape()) + " + a product of " + to_text(n));
    return n;
  }
  /// The gradient reads what the product's gradient reads.
  template <class C, class X, class W>
  std::array<bool, 3> reads(const C&, const X& x, const W& w) const {
    const auto read = product.reads(x, w);
    return {false, read[0], read[1]};
  }
  /// Computes y.
  template <class Backend, class Y, class C, class X, class W>
  void forward(Backend& b, const Y& y, const C& c, const X& x, const W& w) const {
    product.forward(b, y, x, w, c.data(), once);
  }
  /// Computes dc, dx and dw.
  template <class Backend, class Y, class C, class X, class W>
  void backward(Backend& b, const Y& y, const C& c, const X& x, const W& w) const {
    using T = typename Y::value_type;
    if (const auto [dc, accumulates] = c.adjoint(); dc)
      b.for_each(1, y.size(), fold_chunks<T>{{y.gradient().data()}, {dc}, 1, y.size(), accumulates});
    product.backward(b, y, x, w);
  }
};

/// A matrix that a matmul reads transposed; nothing is copied.
template <class W>
struct transposed_matrix {
  W w;  ///< the matrix as it is stored
};
/// Reads a matrix transposed in `matmul(x, transposed(w))`.
template <expression_of_rank<2> W>
transposed_matrix<W> transposed(const W& w) {
  return {w};
}
/// x (N, K) · w (K, M) -> (N, M)
/// @throws shape_error (when evaluated) if the inner extents differ
template <expression_of_rank<2> X, expression_of_rank<2> W>
auto matmul(const X& x, const W& w) {
  return operate(matmul_op{}, x, w);
}
/// x (N, K) · wᵀ, w (M, K) -> (N, M)
/// @throws shape_error (when evaluated) if the inner extents differ
template <expression_of_rank<2> X, class W>
auto matmul(const X& x, const transposed_matrix<W>& w) {
  return operate(matmul_op{.by_rows = true}, x, w.w);
}
/// c (N, M) + matmul(x, w), or another matrix product, rounded once -> (N, M)
/// @throws shape_error (when evaluated) if the extents differ
template <expression_of_rank<2> C, matrix_product Product, class X, class W>
auto addmm(const C& c, const operation<Product, X, W>& product) {
  return operate(addmm_op<Product>{product.op, true}, c, at<0>(product.in), at<1>(product.in));
}
/// c (N, M) + a matrix product as one operation -> (N, M). Unlike in addmm, the product may be rounded before the sum.
/// @throws shape_error (when evaluated) if the extents differ
template <class T, class Backend, matrix_product Product, class X, class W>
auto operator+(const tensor<T, 2, Backend>& c, const operation<Product, X, W>& product) {
  return operate(addmm_op<Product>{product.op, false}, c, at<0>(product.in), at<1>(product.in));
}
/// The same with exchanged operands.
/// @throws shape_error (when evaluated) if the extents differ
template <class T, class Backend, matrix_product Product, class X, class W>
auto operator+(const operation<Product, X, W>& product, const tensor<T, 2, Backend>& c) {
  return c + product;
}

}  // namespace iapt
