// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalization of rows.  Shapes: N rows, D columns.
#pragma once
#include <cmath>

#include "iapt/expr/loops.hpp"
#include "iapt/expr/operation.hpp"

namespace iapt {

/// Team kernel: y = x · w · q, q = 1 / √(mean(x²) + ε); one team computes one row.
template <class T>
struct rms_norm_row {
  static constexpr int threads = 512;  ///< threads of a block: decode has few rows
  using value_type = T;
  const T *x,               ///< rows (N, D)
      *w;                   ///< weight (D)
  T* y;                     ///< result (N, D)
  index_t columns;          ///< D
  compute_type<T> epsilon;  ///< ε
  /// Computes row r.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t r) const {
    const row<const T> in{x + r * columns}, weight{w};
    const row<T> out{y + r * columns};
    const auto q = 1 / std::sqrt(team.sum(columns, [&](auto j) { return in[j] * in[j]; }) / columns + epsilon);
    team.for_each(columns, [&](auto j) { out[j] = in[j] * weight[j] * q; });
  }
};
/// Team kernel: the adjoints; one team computes one chunk of rows, so that dw is a sum of fixed order.
template <class T>
struct rms_norm_adjoint {
  using value_type = T;
  const T *x,               ///< rows (N, D)
      *w,                   ///< weight (D)
      *dy;                  ///< adjoint of the result (N, D)
  T* dx;                    ///< adjoint of the rows, or null
  compute_type<T>* dw;      ///< one row of partial sums of dw for each chunk, or null
  index_t rows,             ///< N
      columns,              ///< D
      chunk;                ///< rows of a chunk
  compute_type<T> epsilon;  ///< ε
  bool accumulates;         ///< whether dx is added to what is there
  /// Computes chunk c.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t c) const {
    const row<const T> weight{w};
    const index_t begin = c * chunk, end = begin + chunk < rows ? begin + chunk : rows;
    for (index_t r = begin; r < end; ++r) {
      const row<const T> in{x + r * columns}, d{dy + r * columns};
      const auto q = 1 / std::sqrt(team.sum(columns, [&](auto j) { return in[j] * in[j]; }) / columns + epsilon);
      if (dx) {
        const auto s = team.sum(columns, [&](auto j) { return d[j] * weight[j] * in[j]; }) * q * q * q / columns;
        const row<T> to{dx + r * columns};
        team.for_each(columns, [&](auto j) {
          const auto v = d[j] * weight[j] * q - in[j] * s;
          to[j] = accumulates ? v + to(j) : v;
        });
      }
      if (dw) {
        const row<compute_type<T>> sum{dw + c * columns};
        team.for_each(columns, [&](auto j) {
          const auto v = d[j] * in[j] * q;
          sum[j] = r > begin ? v + sum(j) : v;
        });
      }
    }
  }
};

/// y = x · w / √(mean(x²) + ε), for each row.
/// @par Gradient dx = q · w · dy − x · q³/D · Σ(dy · w · x), dw = Σ_rows dy · x · q, with q = 1/√(mean(x²) + ε)
/// @par Source   Zhang and Sennrich 2019, "Root mean square layer normalization"
struct rms_norm_op {
  static constexpr auto name = "rms_norm";
  static constexpr int rank = 2;
  double epsilon;  ///< ε

  /// (N, D) and (D) -> (N, D)
  template <class X, class W>
  extents<2> shape(const X& x, const W& w) const {
    if (x.size(1) != w.size(0))
      throw shape_error("rms_norm: rows of " + to_text(x.shape()) + " with a weight of " + to_text(w.shape()));
    return x.shape();
  }
  /// Computes y.
  template <class Backend, class Y, class X, class W>
  void forward(Backend& b, const Y& y, const X& x, const W& w) const {
    using T = typename Y::value_type;
    b.for_each_team(x.size(0), x.size(1),
                    rms_norm_row<T>{x.data(), w.data(), y.write(), x.size(1), compute_type<T>(epsilon)});
  }
  /// Computes dx and dw.
  template <class Backend, class Y, class X, class W>
  void backward(Backend& b, const Y& y, const X& x, const W& w) const {
    using T = typename Y::value_type;
    row_sums<T, Backend> sums(b, x.size(0), x.size(1));
    const auto [dx, accumulates] = x.adjoint();
    auto* const dw = sums.partial_for(w).p;
    const index_t chunk = dw ? chunk_rows : 1;
    b.for_each_team((x.size(0) + chunk - 1) / chunk, chunk * x.size(1),
                    rms_norm_adjoint<T>{x.data(), w.data(), y.gradient().data(), dx, dw, x.size(0), x.size(1), chunk,
                                        compute_type<T>(epsilon), accumulates});
    sums.finish();
  }
};

/// x (N, D), w (D) -> (N, D): scales each row to a root mean square of 1, and multiplies it by w.
/// @throws shape_error (when evaluated) if the length of w is not D
template <expression_of_rank<2> X, expression_of_rank<1> W>
auto rms_norm(const X& x, const W& w, double epsilon = 1e-5) {
  return operate(rms_norm_op{epsilon}, x, w);
}

}  // namespace iapt
