// SPDX-License-Identifier: Apache-2.0
// The index of each row's greatest element.  Shapes: M rows, V columns.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/tensor.hpp"
#include "iapt/expr/scalar_math.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Team kernel: y[r] = the first column with the greatest element of row r; −1 if any element is not finite.
template <class T>
struct argmax_row {
  static constexpr int threads = 512;  ///< threads of a block: rows are few and long
  using value_type = T;
  const T* x;       ///< (M, V)
  std::int32_t* y;  ///< (M)
  index_t columns;  ///< V
  /// Computes row r.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t r) const {
    using C = compute_type<T>;
    const row<const T> in{x + r * columns};
    const C top = team.max(columns, lowest<C>, [&](auto j) { return in[j]; });
    const C first = -team.max(columns, lowest<C>, [&]<class V>(vec_index<V> j) {
      return where_positive(V(top) - in[j], V(lowest<C>), -column_indices(j));
    });
    const C zero = team.sum(columns, [&]<class V>(vec_index<V> j) { return in[j] * V(0); });
    team.single([&] { y[r] = zero == 0 ? std::int32_t(first) : -1; });
  }
};

/// x (M, V) -> for each row, the first column with its greatest element; −1 if any of its elements is not finite.
/// @throws shape_error if a row has no elements, or more than 2^24, which a float can count
template <class T, class Backend>
std::vector<std::int32_t> row_argmax(const tensor<T, 2, Backend>& x) {
  if (x.size(1) < 1 || x.size(1) > index_t(1) << 24)
    throw shape_error("argmax: rows of " + to_text(x.shape()) + "; a row must have from 1 to 2^24 numbers");
  const tensor<std::int32_t, 1, Backend> y(x.backend(), {x.size(0)});
  x.backend().for_each_team(x.size(0), x.size(1), argmax_row<T>{x.data(), y.write(), x.size(1)});
  return to_host(y);
}

}  // namespace iapt
