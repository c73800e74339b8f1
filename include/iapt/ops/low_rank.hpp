// SPDX-License-Identifier: Apache-2.0
// Products with two thin matrices, others for each row: adapters of many tenants in one batch. Nothing is trained
// through them.  Shapes: N rows; a map has rank r, at most R of all, `in` columns and `out` results.
#pragma once
#include <algorithm>
#include <cstdint>

#include "iapt/core/tensor.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// A linear map of low rank, as a kernel finds it: x -> scale · (x · downᵀ) · upᵀ.
template <class T>
struct low_rank_map {
  const T *down = nullptr,  ///< (r, in)
      *up = nullptr;        ///< (out, r)
  index_t rank = 0,         ///< r; 0 makes 0 of everything
      in = 0,               ///< columns
      out = 0;              ///< results
  T scale = 0;              ///< of the product
};

/// Which map each row has, in a backend's memory.
template <class T>
struct low_rank_rows {
  const low_rank_map<T>* maps;  ///< all of them
  const std::int32_t* which;    ///< of row i (N)
  index_t widest;               ///< R
};

/// Team kernel: narrow[i, k] = scale · Σ_j x[i, j] · down[k, j], with the map of row i; a team takes one number.
template <class T>
struct low_rank_narrow {
  using value_type = T;          ///< type of one number
  using real = compute_type<T>;  ///< what it is computed in
  const T* x;                    ///< rows (N, in)
  low_rank_rows<real> rows;      ///< their maps
  real* narrow;                  ///< result (N, R)
  index_t columns;               ///< in
  /// Number i·R + k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t number) const {
    const index_t i = number / rows.widest, k = number % rows.widest;
    const low_rank_map<real> map = rows.maps[rows.which[i]];
    if (k >= map.rank) return;
    const row<const T> in{x + i * columns};
    const row<const real> weight{map.down + k * columns};
    const real sum = team.sum(columns, [&](auto j) { return in[j] * weight[j]; });
    team.single([&] { narrow[number] = map.scale * sum; });
  }
};

/// Team kernel: y[i, j] = Σ_k narrow[i, k] · up[j, k], with the map of row i; a team takes one row.
template <class T>
struct low_rank_wide {
  using value_type = T;          ///< type of one number
  using real = compute_type<T>;  ///< what it is computed in
  const real* narrow;            ///< what low_rank_narrow made (N, R)
  low_rank_rows<real> rows;      ///< their maps
  T* y;                          ///< result (N, out)
  index_t columns;               ///< out
  /// Row i.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t i) const {
    const low_rank_map<real> map = rows.maps[rows.which[i]];
    const real* const factors = narrow + i * rows.widest;
    const row<T> to{y + i * columns};
    team.for_each(columns, [&]<class V>(vec_index<V> j) {
      V sum(0);
      for (index_t k = 0; k < map.rank; ++k) sum = sum + column<const real>{map.up + k, map.rank}[j] * V(factors[k]);
      to[j] = sum;
    });
  }
};

/// Each row through its own map.   x (N, in) -> (N, out)
/// @par Source E. Hu et al. 2021, "LoRA"; the maps of one batch side by side: L. Chen et al. 2023, "Punica"
template <class T, class Backend>
tensor<T, 2, Backend> low_rank_products(Backend& backend, const tensor<T, 2, Backend>& x,
                                        const low_rank_rows<compute_type<T>>& rows, index_t out) {
  const index_t n = x.size(0), in = x.size(1);
  tensor<T, 2, Backend> y(backend, {n, out});
  buffer<compute_type<T>, Backend> narrow(backend, n * rows.widest);
  backend.for_each_team(narrow.size(), in, low_rank_narrow<T>{x.data(), rows, narrow.write(), in});
  backend.for_each_team(n, out * std::max<index_t>(rows.widest, 1),
                        low_rank_wide<T>{narrow.data(), rows, y.write(), out});
  return y;
}

}  // namespace iapt
