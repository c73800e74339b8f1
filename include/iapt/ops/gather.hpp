// SPDX-License-Identifier: Apache-2.0
// Rows by index: of an embedding table, or those whose loss is computed.  Shapes: M table rows, N results, D columns.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/core/tensor.hpp"
#include "iapt/expr/operation.hpp"

namespace iapt {

/// Elementwise kernel: y[i] = x[rows[i]].
template <class T>
struct gather_loop {
  using value_type = T;
  const T* x;                ///< table (M, D)
  const std::int32_t* rows;  ///< table row of each result row (N)
  T* y;                      ///< result (N, D)
  index_t columns;           ///< D
  /// Copies column j of row i.
  template <class Index>
  IAPT_DEVICE void operator()(index_t i, Index j) const {
    row<T>{y + i * columns}[j] = row<const T>{x + rows[i] * columns}[j];
  }
};
/// Team kernel: dx[r] += Σ dy[i] over the i with rows[i] = r, in order; one team adds one run of equal rows.
template <class T>
struct scatter_add_run {
  using value_type = T;
  const T* dy;               ///< adjoint of the result (N, D)
  const std::int32_t *rows,  ///< table row of each position (N)
      *order,                ///< positions, sorted by row (N)
      *starts;               ///< where runs start in the order (runs + 1)
  T* dx;                     ///< adjoint of the table (M, D)
  index_t columns;           ///< D
  /// Adds run k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    for (index_t n = starts[k]; n < starts[k + 1]; ++n) {
      const index_t i = order[n];
      const row<const T> from{dy + i * columns};
      const row<T> to{dx + rows[i] * columns};
      team.for_each(columns, [&](auto j) { to[j] = to(j) + from[j]; });
    }
  }
};

/// Indices of the rows to gather, on the host and on the backend.
template <class Backend>
struct row_indices {
  std::vector<std::int32_t> host;           ///< for checks and for planning the gradient
  tensor<std::int32_t, 1, Backend> device;  ///< for kernels
  /// Uploads the indices.
  row_indices(Backend& backend, std::vector<std::int32_t> rows)
      : host(std::move(rows)), device(from_host(backend, extents<1>{index_t(host.size())}, host)) {}
  /// Replaces the indices in the same memory. Must not be called between a recorded statement and its backward.
  /// @throws shape_error if the number of indices differs
  void replace(std::vector<std::int32_t> rows) {
    upload(device, rows);
    host = std::move(rows);
  }
};

/// y[i] = x[rows[i]].
/// @par Gradient dx[r] = Σ dy[i] over the i with rows[i] = r
template <class Backend>
struct gather_op {
  static constexpr auto name = "gather";
  static constexpr int rank = 2;
  row_indices<Backend> rows;  ///< indices of the rows

  /// (M, D) -> (N, D)
  template <class X>
  extents<2> shape(const X& x) const {
    for (std::int32_t r : rows.host)
      if (r < 0 || r >= x.size(0)) throw shape_error("gather: row " + std::to_string(r) + " of " + to_text(x.shape()));
    return {index_t(rows.host.size()), x.size(1)};
  }
  /// The gradient reads no value.
  template <class X>
  std::array<bool, 1> reads(const X&) const {
    return {false};
  }
  /// Computes y.
  template <class Y, class X>
  void forward(Backend& b, const Y& y, const X& x) const {
    using T = typename Y::value_type;
    b.for_each(y.size(0), y.size(1), gather_loop<T>{x.data(), rows.device.data(), y.write(), y.size(1)});
  }
  /// Computes dx.
  template <class Y, class X>
  void backward(Backend& b, const Y& y, const X& x) const {
    using T = typename Y::value_type;
    const auto [dx, accumulates] = x.adjoint();
    if (!dx) return;
    if (!accumulates) b.zero(dx, x.size());
    std::vector<std::int32_t> order(rows.host.size()), starts;
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = std::int32_t(i);
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return rows.host[i] < rows.host[j]; });
    for (std::size_t n = 0; n < order.size(); ++n)
      if (n == 0 || rows.host[order[n]] != rows.host[order[n - 1]]) starts.push_back(std::int32_t(n));
    const index_t runs = starts.size();
    starts.push_back(std::int32_t(order.size()));
    const auto sorted = from_host(b, extents<1>{index_t(order.size())}, order);
    const auto bounds = from_host(b, extents<1>{runs + 1}, starts);
    b.for_each_team(
        runs, y.size(1),
        scatter_add_run<T>{y.gradient().data(), rows.device.data(), sorted.data(), bounds.data(), dx, y.size(1)});
  }
};

/// x (M, D) -> (N, D): the rows with the given indices, each from 0 to M−1.
/// @throws shape_error (when evaluated) if an index is out of range
template <class Backend, expression_of_rank<2> X>
auto gather(const X& x, row_indices<Backend> rows) {
  return operate(gather_op<Backend>{std::move(rows)}, x);
}

}  // namespace iapt
