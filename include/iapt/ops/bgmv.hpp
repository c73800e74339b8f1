// SPDX-License-Identifier: Apache-2.0
// Batched gather matrix-vector products (BGMV): each row of a batch has its own low-rank map, as with the LoRA adapters
// of many tenants. There is no gradient.  Shapes: N rows; a map has rank r, at most R, `in` inputs, `out` outputs.
#pragma once
#include <algorithm>
#include <cstdint>

#include "iapt/core/tensor.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// A low-rank linear map in device memory: x -> scale · (x · downᵀ) · upᵀ.
template <class T>
struct low_rank_map {
  const T *down = nullptr,  ///< factor (r, in)
      *up = nullptr;        ///< factor (out, r)
  index_t rank = 0,         ///< r; the result of rank 0 is 0
      in = 0,               ///< number of inputs
      out = 0;              ///< number of outputs
  T scale = 0;              ///< factor of the product
};

/// The maps of a batch's rows, in device memory.
template <class T>
struct low_rank_batch {
  const low_rank_map<T>* maps;  ///< all maps
  const std::int32_t* which;    ///< index of each row's map (N)
  index_t max_rank;             ///< R
};

/// Team kernel: shrunk[i, k] = scale · Σ_j x[i, j] · down[k, j], with the map of row i; one team computes one (i, k).
template <class T>
struct bgmv_shrink {
  using value_type = T;
  using real = compute_type<T>;  ///< type of the computation
  const T* x;                    ///< rows (N, in)
  low_rank_batch<real> rows;     ///< maps of the rows
  real* shrunk;                  ///< result (N, R)
  index_t columns;               ///< in
  /// Computes element i·R + k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t number) const {
    const index_t i = number / rows.max_rank, k = number % rows.max_rank;
    const low_rank_map<real> map = rows.maps[rows.which[i]];
    if (k >= map.rank) return;
    const row<const T> in{x + i * columns};
    const row<const real> weight{map.down + k * columns};
    const real sum = team.sum(columns, [&](auto j) { return in[j] * weight[j]; });
    team.single([&] { shrunk[number] = map.scale * sum; });
  }
};

/// Team kernel: y[i, j] = Σ_k shrunk[i, k] · up[j, k], with the map of row i; one team computes one row.
template <class T>
struct bgmv_expand {
  using value_type = T;
  using real = compute_type<T>;  ///< type of the computation
  const real* shrunk;            ///< result of bgmv_shrink (N, R)
  low_rank_batch<real> rows;     ///< maps of the rows
  T* y;                          ///< result (N, out)
  index_t columns;               ///< out
  /// Computes row i.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t i) const {
    const low_rank_map<real> map = rows.maps[rows.which[i]];
    const real* const factors = shrunk + i * rows.max_rank;
    const row<T> to{y + i * columns};
    team.for_each(columns, [&]<class V>(vec_index<V> j) {
      V sum(0);
      for (index_t k = 0; k < map.rank; ++k) sum = sum + column<const real>{map.up + k, map.rank}[j] * V(factors[k]);
      to[j] = sum;
    });
  }
};

/// Applies each row's map.   x (N, in) -> (N, out)
/// @par Source E. Hu et al. 2021, "LoRA"; BGMV: L. Chen et al. 2023, "Punica"
template <class T, class Backend>
tensor<T, 2, Backend> bgmv(Backend& backend, const tensor<T, 2, Backend>& x,
                           const low_rank_batch<compute_type<T>>& rows, index_t out) {
  const index_t n = x.size(0), in = x.size(1);
  tensor<T, 2, Backend> y(backend, {n, out});
  buffer<compute_type<T>, Backend> shrunk(backend, n * rows.max_rank);
  backend.for_each_team(shrunk.size(), in, bgmv_shrink<T>{x.data(), rows, shrunk.write(), in});
  backend.for_each_team(n, out * std::max<index_t>(rows.max_rank, 1),
                        bgmv_expand<T>{shrunk.data(), rows, y.write(), out});
  return y;
}

}  // namespace iapt
