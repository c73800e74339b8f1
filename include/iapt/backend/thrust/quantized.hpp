// SPDX-License-Identifier: Apache-2.0
// Team kernels on quantized rows: dequantize, and matmuls with few rows.
#pragma once
#include <concepts>

#include "iapt/backend/concept.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Team kernel: y[i] = row rows[i] of w, or row i where `rows` is null.
template <class T>
struct dequantize_row {
  using value_type = T;
  quantized_rows w;          ///< the rows (M, K)
  const std::int32_t* rows;  ///< indices of rows (N), or null
  T* y;                      ///< the result (N, K)
  /// Dequantizes row i.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t i) const {
    const index_t from = rows ? rows[i] : i;
    T* const to = y + i * w.columns;
    w.template read<compute_type<T>>(
        from, [&](auto element) { team.for_each_element(w.columns, [&](auto j) { to[j.at] = T(element(j.at)); }); });
  }
};

/// Team kernel: column n of c (M, N) = a (M, K) · wᵀ; one team reads one row of w.
template <class T>
struct quantized_product_column {
  using value_type = T;
  matrix_ref<const T> a;  ///< left operand
  quantized_rows w;       ///< right operand (N, K)
  matrix_ref<T> c;        ///< the result
  index_t rows;           ///< M
  /// Computes column n.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t n) const {
    using number = compute_type<T>;
    w.template read<number>(n, [&](auto weight) {
      for (index_t i = 0; i < rows; ++i) {
        const T* const x = a.data + i * a.stride;
        const auto product = [&](index_t j) { return number(x[j]) * weight(j); };
        const number sum = team.sum(w.columns, [&]<class V>(vec_index<V> j) {
          if constexpr (std::same_as<V, number>)
            return product(j.at);
          else
            return V::of([&](int i) { return product(j.at + i); });
        });
        team.single([&] { c.data[i * c.stride + n] = T(sum); });
      }
    });
  }
};

}  // namespace iapt
