// SPDX-License-Identifier: Apache-2.0
// The end of an attention of few queries: what the groups that shared a row's keys found is put together.
#pragma once
#include <cmath>

#include "iapt/backend/thrust/attention_few.hpp"

namespace iapt {

/// A row whose keys were shared among several teams.
struct attention_split_row {
  index_t segment,  ///< which sequence
      kv_head,      ///< which key/value head
      row,          ///< which row of them
      partial,      ///< where the first team's result is
      distance;     ///< from there to the next team's
};

/// Team kernel: y and log_sum of one row from what several teams found for it.
/// @par Source Dao et al. 2023, "Flash-Decoding"
template <class T>
struct attention_merge {
  static constexpr int threads = 64;                       ///< of a block
  static constexpr int shares = attention_few<T>::shares;  ///< groups
  using value_type = T;                                    ///< type of one number
  using C = compute_type<T>;                               ///< what it computes in
  attention_tiles<T> tiles;                                ///< everything
  const attention_split_row* rows;                         ///< which rows
  /// Row k of them.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const attention_split_row r = rows[k];
    const int E = tiles.size();
    const C* const first = tiles.partial + r.partial * (E + 2);
    const index_t step = r.distance * (E + 2);
    C weight[shares], top = lowest<C>, total = 0;
    IAPT_UNROLL
    for (int s = 0; s < shares; ++s) weight[s] = first[s * step + E];
    IAPT_UNROLL
    for (int s = 0; s < shares; ++s) top = weight[s] > top ? weight[s] : top;
    IAPT_UNROLL
    for (int s = 0; s < shares; ++s) {
      weight[s] = std::exp(weight[s] - top);
      total += first[s * step + E + 1] * weight[s];
    }
    const index_t place = tiles.place(tiles.rows(tiles.segments[r.segment], r.kv_head, r.row, 1), 0);
    team.for_each_element(E, [&](auto e) {
      C sum = 0;
      IAPT_UNROLL
      for (int s = 0; s < shares; ++s) sum += first[s * step + e.at] * weight[s];
      tiles.a.y[place * E + e.at] = sum / total;
    });
    team.single([&] { tiles.a.log_sum[place] = top + std::log(total); });
  }
};

}  // namespace iapt
