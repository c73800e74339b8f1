// SPDX-License-Identifier: Apache-2.0
// Rows of attention whose keys several groups shared among them: while decoding, a sequence has few queries.
#pragma once
#include <cmath>
#include <limits>

#include "iapt/backend/thrust/attention.hpp"

namespace iapt {

/// A row whose keys were shared among several groups.
struct attention_split_row {
  extent segment,  ///< which sequence
      kv_head,     ///< which key/value head
      row,         ///< which row of them
      partial,     ///< where the first group's result is
      distance,    ///< from there to the next group's
      splits;      ///< how many groups there are
};

/// Row kernel: y and log_sum of one row from what several groups found for it.
/// @par Source Dao et al. 2023, "Flash-Decoding"
template <class T>
struct attention_merge {
  static constexpr int threads = 32;  ///< of a block
  using value_type = T;               ///< type of one number
  using C = compute_type<T>;          ///< what it computes in
  attention_tiles<T> tiles;           ///< everything
  const attention_split_row* rows;    ///< which rows
  /// Row k of them.
  template <class Group>
  IAPT_DEVICE void operator()(Group group, extent k) const {
    const attention_split_row r = rows[k];
    const int E = tiles.size();
    const C* const first = tiles.partial + r.partial * (E + 2);
    const extent step = r.distance * (E + 2);
    C top = -std::numeric_limits<C>::infinity(), total = 0;
    for (extent s = 0; s < r.splits; ++s) top = first[s * step + E] > top ? first[s * step + E] : top;
    for (extent s = 0; s < r.splits; ++s) total += first[s * step + E + 1] * std::exp(first[s * step + E] - top);
    const extent place = tiles.place(tiles.rows(tiles.segments[r.segment], r.kv_head, r.row), 0);
    group.each(E, [&](auto e) {
      C sum = 0;
      for (extent s = 0; s < r.splits; ++s) sum += first[s * step + e.at] * std::exp(first[s * step + E] - top);
      tiles.a.y[place * E + e.at] = sum / total;
    });
    group.once([&] { tiles.a.log_sum[place] = top + std::log(total); });
  }
};

}  // namespace iapt
