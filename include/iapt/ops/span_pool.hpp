// SPDX-License-Identifier: Apache-2.0
// Means and maxima over spans of rows.  Shapes: N rows, S spans, R columns.
#pragma once
#include "iapt/expr/scalar_math.hpp"
#include "iapt/ops/segments.hpp"

namespace iapt {

/// Team kernel: y[k] = mean of the rows of span k.
template <class T>
struct span_mean_row {
  using value_type = T;
  const T* x;                  ///< (N, R)
  const std::int32_t* bounds;  ///< bounds of the spans (2S)
  T* y;                        ///< (S, R)
  index_t columns;             ///< R
  /// Computes span k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const index_t begin = bounds[k * 2], end = bounds[k * 2 + 1];
    team.for_each(columns, [&](auto j) {
      auto total = row<const T>{x + begin * columns}[j];
      for (index_t i = begin + 1; i < end; ++i) total = total + row<const T>{x + i * columns}[j];
      row<T>{y + k * columns}[j] = total * (T(1) / T(end - begin));
    });
  }
};
/// Team kernel: the adjoint of span_mean_row. Spans may overlap, so one team computes all spans, in order.
template <class T>
struct span_mean_adjoint {
  using value_type = T;
  const T* dy;                 ///< (S, R)
  const std::int32_t* bounds;  ///< bounds of the spans (2S)
  T* dx;                       ///< adjoint of the rows (N, R), added to what is there
  index_t spans,               ///< S
      columns;                 ///< R
  /// Computes all spans.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t) const {
    for (index_t k = 0; k < spans; ++k) {
      const T share = T(1) / T(bounds[k * 2 + 1] - bounds[k * 2]);
      for (index_t i = bounds[k * 2]; i < bounds[k * 2 + 1]; ++i) {
        const row<T> to{dx + i * columns};
        team.for_each(columns, [&](auto j) { to[j] = to(j) + row<const T>{dy + k * columns}[j] * share; });
      }
    }
  }
};
/// Team kernel: y[k] = elementwise maximum of the rows of span k.
template <class T>
struct span_max_row {
  using value_type = T;
  const T* x;                  ///< (N, R)
  const std::int32_t* bounds;  ///< bounds of the spans (2S)
  T* y;                        ///< (S, R)
  index_t columns;             ///< R
  /// Computes span k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const index_t begin = bounds[k * 2], end = bounds[k * 2 + 1];
    team.for_each(columns, [&](auto j) {
      auto top = row<const T>{x + begin * columns}[j];
      for (index_t i = begin + 1; i < end; ++i) top = maximum(top, row<const T>{x + i * columns}[j]);
      row<T>{y + k * columns}[j] = top;
    });
  }
};
/// Team kernel: adjoint of span_max_row, to the first row with the maximum. Spans may overlap: one team computes all.
template <class T>
struct span_max_adjoint {
  using value_type = T;
  const T *x,                  ///< rows (N, R)
      *y,                      ///< maxima (S, R)
      *dy;                     ///< adjoint of the maxima (S, R)
  const std::int32_t* bounds;  ///< bounds of the spans (2S)
  T* dx;                       ///< adjoint of the rows (N, R), added to what is there
  index_t spans,               ///< S
      columns;                 ///< R
  /// Computes all spans.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t) const {
    for (index_t k = 0; k < spans; ++k)
      team.for_each(columns, [&]<class V>(vec_index<V> first) {
        const index_t width = sizeof(V) / sizeof(compute_type<T>);
        for (index_t j = first.at; j < first.at + width; ++j) {
          index_t i = bounds[k * 2];
          const index_t last = bounds[k * 2 + 1] - 1;  // the row of a maximum that is NaN
          while (i < last && x[i * columns + j] != y[k * columns + j]) ++i;
          dx[i * columns + j] += dy[k * columns + j];
        }
      });
  }
};

/// What a span is reduced to.
enum class span_reduction { mean, maximum };

/// y[k] = mean or elementwise maximum of the rows of span k.
/// @par Gradient mean: dx_i = Σ_k dy_k / (rows of k) over the spans with row i; maximum: dy_k to the first row with
///               the maximum
template <span_reduction Reduction, class Backend>
struct span_pool_op {
  static constexpr auto name = Reduction == span_reduction::mean ? "span_mean" : "span_max";
  static constexpr int rank = 2;
  static constexpr bool reads_result = true;     ///< the gradient finds the maximum's row by y
  std::vector<row_span> spans;                   ///< rows of each span (S)
  tensor<std::int32_t, 1, Backend> bounds = {};  ///< bounds of the spans, on the backend

  /// (N, R) -> (S, R)
  template <class X>
  extents<2> shape(const X& x) const {
    return {index_t(spans.size()), x.size(1)};
  }
  /// The gradient of a mean reads nothing.
  template <class X>
  std::array<bool, 1> reads(const X&) const {
    return {Reduction == span_reduction::maximum};
  }
  /// Computes y.
  template <class Y, class X>
  void forward(Backend& b, const Y& y, const X& x) {
    using T = typename Y::value_type;
    using kernel = std::conditional_t<Reduction == span_reduction::mean, span_mean_row<T>, span_max_row<T>>;
    bounds = span_bounds(b, spans, x.size(0), name);
    b.for_each_team(y.size(0), x.size(), kernel{x.data(), bounds.data(), y.write(), x.size(1)});
  }
  /// Computes dx.
  template <class Y, class X>
  void backward(Backend& b, const Y& y, const X& x) const {
    using T = typename Y::value_type;
    const auto [dx, accumulates] = x.adjoint();
    if (!dx) return;
    if (!accumulates) b.zero(dx, x.size());
    const T* dy = y.gradient().data();
    if constexpr (Reduction == span_reduction::mean)
      b.for_each_team(1, y.size(), span_mean_adjoint<T>{dy, bounds.data(), dx, y.size(0), y.size(1)});
    else
      b.for_each_team(1, y.size(),
                      span_max_adjoint<T>{x.data(), y.data(), dy, bounds.data(), dx, y.size(0), y.size(1)});
  }
};

/// x (N, R) -> (S, R): the mean of each span's rows.
/// @throws shape_error (when evaluated) if a span is empty or exceeds the rows of x
template <class Backend, class T>
auto span_mean(const tensor<T, 2, Backend>& x, std::vector<row_span> spans) {
  return operate(span_pool_op<span_reduction::mean, Backend>{std::move(spans)}, x);
}
/// x (N, R) -> (S, R): the elementwise maximum of each span's rows.
/// @throws shape_error (when evaluated) if a span is empty or exceeds the rows of x
template <class Backend, class T>
auto span_max(const tensor<T, 2, Backend>& x, std::vector<row_span> spans) {
  return operate(span_pool_op<span_reduction::maximum, Backend>{std::move(spans)}, x);
}

}  // namespace iapt
