// SPDX-License-Identifier: Apache-2.0
// The second step of split-KV attention: merges the partial results of all splits of a row.
#pragma once
#include <cmath>

#include "iapt/backend/thrust/decode_attention.hpp"

namespace iapt {

/// A row whose keys are divided among several teams.
struct split_row {
  index_t segment,  ///< which sequence
      kv_head,      ///< which key/value head
      row,          ///< index of the row
      partial,      ///< index of the first split's result
      distance;     ///< distance between the results of two splits
};

/// Team kernel: y and log_sum of one row, from the partial results of all splits.
/// @par Source Dao et al. 2023, "Flash-Decoding"
template <class T>
struct decode_merge {
  static constexpr int threads = 64;                                ///< threads of a block
  static constexpr int kv_splits = decode_attention<T>::kv_splits;  ///< splits of a row
  using value_type = T;
  using C = compute_type<T>;  ///< type of the computation
  attention_tiles<T> tiles;   ///< arguments of all tiles
  const split_row* rows;      ///< the rows to merge
  /// Merges row k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const split_row r = rows[k];
    const int E = tiles.size();
    const C* const first = tiles.partial + r.partial * (E + 2);
    const index_t step = r.distance * (E + 2);
    C weight[kv_splits], top = lowest<C>, total = 0;
    IAPT_UNROLL
    for (int s = 0; s < kv_splits; ++s) weight[s] = first[s * step + E];
    IAPT_UNROLL
    for (int s = 0; s < kv_splits; ++s) top = weight[s] > top ? weight[s] : top;
    IAPT_UNROLL
    for (int s = 0; s < kv_splits; ++s) {
      weight[s] = std::exp(weight[s] - top);
      total += first[s * step + E + 1] * weight[s];
    }
    const index_t place = tiles.place(tiles.rows(tiles.segments[r.segment], r.kv_head, r.row, 1), 0);
    team.for_each_element(E, [&](auto e) {
      C sum = 0;
      IAPT_UNROLL
      for (int s = 0; s < kv_splits; ++s) sum += first[s * step + e.at] * weight[s];
      tiles.a.y[place * E + e.at] = sum / total;
    });
    team.single([&] { tiles.a.log_sum[place] = top + std::log(total); });
  }
};

}  // namespace iapt
