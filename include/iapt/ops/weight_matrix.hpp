// SPDX-License-Identifier: Apache-2.0
// Products with weights, and rows of weights, for both kinds of storage: tensors and quantized rows.
// Shapes: N rows, K columns of the weights, M rows of the weights.
#pragma once
#include <algorithm>
#include <array>
#include <utility>

#include "iapt/core/weight_matrix.hpp"
#include "iapt/ops/gather.hpp"
#include "iapt/ops/matmul.hpp"

namespace iapt {

/// y = x · wᵀ. Quantized weights are dequantized in registers if x has few rows. Otherwise a panel of weight rows at a
/// time is dequantized into memory, for a dense product.
/// @par Gradient dx = dy · w; dw as in matmul_op, if w is a tensor
template <class T, class Backend>
struct weight_product_op {
  static constexpr auto name = "matmul";
  static constexpr int rank = 2;
  static constexpr bool is_product = true;  ///< can be added to a matrix while it is computed
  weight_matrix<T, Backend> weight;         ///< (M, K)

  /// (N, K) -> (N, M)
  template <class X, class W>
  extents<2> shape(const X& x, const W&) const {
    return dense.shape(x, weight);
  }
  /// The gradient of each operand reads the other operand.
  template <class X, class W>
  std::array<bool, 2> reads(const X& x, const W& w) const {
    return dense.reads(x, w);
  }
  /// Computes y = x · wᵀ, or addend (N, M) + x · wᵀ; a product with quantized weights is always rounded before the sum.
  template <class Y, class X, class W>
  void forward(Backend& b, const Y& y, const X& x, const W& w, const T* addend = nullptr, bool once = false) const {
    if (!weight.quantized()) return dense.forward(b, y, x, w, addend, once);
    const index_t n = x.size(0), k = x.size(1), m = weight.size(0);
    const matrix_ref<const T> left{x.data(), k};
    T* const to = y.write();
    if (n <= Backend::skinny_rows)
      b.template matmul_quantized<T>(n, m, left, weight.rows(), {to, m});
    else
      each_panel(b, [&](index_t from, index_t count, const T* panel) {
        b.template matmul<T>(n, count, k, left, {panel, k, true}, {to + from, m}, false);
      });
    if (addend) dense.add(b, addend, to, n * m);
  }
  /// Computes dx, and dw if w is a tensor.
  template <class Y, class X, class W>
  void backward(Backend& b, const Y& y, const X& x, const W& w) const {
    if (!weight.quantized()) return dense.backward(b, y, x, w);
    const auto [dx, accumulates] = x.adjoint();
    if (!dx) return;
    const index_t n = y.size(0), k = weight.size(1), m = weight.size(0);
    const T* const dy = y.gradient().data();
    if (m == 0 && !accumulates) b.zero(dx, n * k);
    each_panel(b, [&, dx = dx, adds = accumulates](index_t from, index_t count, const T* panel) {
      b.template matmul<T>(n, k, count, {dy + from, m}, {panel, k}, {dx, k}, adds || from > 0);
    });
  }

 private:
  static constexpr matmul_op dense{.by_rows = true};
  // Calls f(first row, number of rows, their elements) for as many rows at a time as fit a cache beside the operands.
  template <class F>
  void each_panel(Backend& b, const F& f) const {
    constexpr index_t numbers = index_t(1) << 20;
    const index_t m = weight.size(0), k = weight.size(1);
    const index_t rows = std::min(m, std::max<index_t>(1, numbers / std::max<index_t>(1, k)));
    buffer<T, Backend> panel(b, rows * k);
    for (index_t from = 0; from < m; from += rows) {
      const index_t count = std::min(rows, m - from);
      b.template dequantize<T>(weight.rows(from), nullptr, count, panel.write());
      f(from, count, panel.data());
    }
  }
};

/// y[i] = w[rows[i]].
/// @par Gradient as in gather_op, if w is a tensor
template <class T, class Backend>
struct weight_rows_op {
  static constexpr auto name = "gather";
  static constexpr int rank = 2;
  gather_op<Backend> dense;          ///< indices of the rows; gathers the rows of a tensor
  weight_matrix<T, Backend> weight;  ///< (M, K)

  /// (M, K) -> (N, K)
  template <class W>
  extents<2> shape(const W&) const {
    return dense.shape(weight);
  }
  /// The gradient reads no value.
  template <class W>
  std::array<bool, 1> reads(const W&) const {
    return {false};
  }
  /// Computes y.
  template <class Y, class W>
  void forward(Backend& b, const Y& y, const W& w) const {
    if (!weight.quantized()) return dense.forward(b, y, w);
    b.template dequantize<T>(weight.rows(), dense.rows.device.data(), y.size(0), y.write());
  }
  /// Computes dw, if w is a tensor.
  template <class Y, class W>
  void backward(Backend& b, const Y& y, const W& w) const {
    if (!weight.quantized()) dense.backward(b, y, w);
  }
};

/// Reads weights transposed in `matmul(x, transposed(w))`.
template <class T, class Backend>
transposed_matrix<weight_matrix<T, Backend>> transposed(const weight_matrix<T, Backend>& w) {
  return {w};
}
/// x (N, K) · wᵀ, w (M, K) -> (N, M)
/// @throws shape_error (when evaluated) if the inner extents differ
template <expression_of_rank<2> X, class T, class Backend>
auto matmul(const X& x, const transposed_matrix<weight_matrix<T, Backend>>& w) {
  return operate(weight_product_op<T, Backend>{w.w}, x, w.w.numbers());
}
/// w (M, K) -> (N, K): the rows with the given indices, each from 0 to M−1.
/// @throws shape_error (when evaluated) if an index is out of range
template <class T, class Backend>
auto gather(const weight_matrix<T, Backend>& w, row_indices<Backend> rows) {
  return operate(weight_rows_op<T, Backend>{{std::move(rows)}, w}, w.numbers());
}

}  // namespace iapt
