// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention as row kernels, tile by tile in the memory of a group: the same text runs as one
// thread on the host and as a block of threads on a GPU.
// Shapes: N packed rows, H query heads, G key/value heads, E numbers in a head.
#pragma once
#include <cmath>
#include <limits>

#include "iapt/backend/concept.hpp"
#include "iapt/expr/lane.hpp"

namespace iapt {

/// Queries of a tile. The rows of a sequence and key/value head are its queries, each with all the heads that share the
/// key/value head: row r is query r / (H/G), head r % (H/G).
struct attention_query_tile {
  extent segment,  ///< which sequence
      kv_head,     ///< which key/value head
      from,        ///< first row
      split,       ///< which of the groups that share the tiles of keys among them
      splits,      ///< how many there are
      partial;     ///< where their results of the first row go, if there are several
};
/// A row whose keys were shared among several groups.
struct attention_split_row {
  extent segment,  ///< which sequence
      kv_head,     ///< which key/value head
      row,         ///< which row of them
      partial,     ///< where the first group's result is
      distance,    ///< from there to the next group's
      splits;      ///< how many groups there are
};
/// Keys of a tile, all of them own rows or all of them soft tokens, and the sequences that see them.
struct attention_key_tile {
  extent begin,    ///< first row in the array of own rows, or of soft tokens
      count,       ///< number of keys
      kv_head,     ///< which key/value head
      first_seer,  ///< where their sequences' numbers start in `seers`
      seers;       ///< how many sequences there are
  bool soft;       ///< whether they are soft tokens
};

/// Numbers of scratch memory for some tiles of `edge` rows, the weights of as many keys, and three numbers for each
/// row.
IAPT_DEVICE extent attention_scratch(int tiles, extent edge, extent head_size) {
  return tiles * edge * (head_size + 1) + edge * (edge + 1) + 3 * edge;
}

/// Some keys in a row, and which queries of a sequence see them: query i sees key j if i ≥ first + j · step.
template <class T>
struct attention_key_range {
  const T *k,    ///< first key, of one head
      *v;        ///< first value
  extent count,  ///< number of keys
      first,     ///< query from which on key 0 is seen
      step;      ///< 1 for own rows; 0 where all keys are seen by the same queries
};

/// What all tiles of one attention share.
template <class T>
struct attention_tiles {
  attention_arrays<T> a;                ///< operands and results
  attention_adjoints<T> d;              ///< where adjoints go
  const attention_segment* segments;    ///< the sequences
  const attention_query_tile* queries;  ///< tiles of queries
  const attention_key_tile* keys;       ///< tiles of keys
  const std::int32_t* seers;            ///< sequences that see a tile of keys
  compute_type<T>* delta;               ///< Σ_e dy·y of each row (N, H)
  compute_type<T>* partial;             ///< results of split rows: Σ weight·v (E), greatest score, Σ weight
  int edge;                             ///< rows and keys of a tile

  /// E
  IAPT_DEVICE int size() const { return int(a.layout.head_size); }
  /// From row to row of a tile; one more than E, so that a GPU's banks are hit evenly.
  IAPT_DEVICE int stride() const { return size() + 1; }
  /// H/G
  IAPT_DEVICE extent shared() const { return a.layout.heads / a.layout.kv_heads; }
  /// Number of the row in (N, H) that row r of a sequence and key/value head is.
  IAPT_DEVICE extent place(const attention_segment& s, extent kv_head, extent r) const {
    return (s.begin + r / shared()) * a.layout.heads + kv_head * shared() + r % shared();
  }
  /// The keys that queries up to `last` of a sequence may see: kind 0 the past, 1 the soft tokens, 2 the own rows.
  IAPT_DEVICE attention_key_range<T> range(const attention_segment& s, extent kv_head, extent last, int kind) const {
    const extent width = a.layout.kv_heads * size(), column = kv_head * size();
    const auto rows = [&](const T* k, const T* v, extent begin, extent count, extent first, extent step) {
      const extent at = count ? begin * width + column : 0;  // where there are none, k and v are null
      return attention_key_range<T>{k + at, v + at, count, first, step};
    };
    if (kind == 0) return rows(a.past_k, a.past_v, s.past_begin, s.past_count, 0, 0);
    if (kind == 1)
      return rows(a.prefix_k, a.prefix_v, s.prefix_begin, last < s.prefix_from ? 0 : s.prefix_count, s.prefix_from, 0);
    return rows(a.k, a.v, s.begin, last + 1, 0, 1);
  }
  /// Copies `rows` head-sized rows of a (·, G·E) array into a tile.
  template <class Group>
  IAPT_DEVICE void load_keys(Group group, compute_type<T>* tile, const T* from, int rows) const {
    const extent width = a.layout.kv_heads * size();
    group.each(rows * size(), [&](auto n) {
      const int r = int(n.at) / size(), e = int(n.at) % size();
      tile[r * stride() + e] = from[r * width + e];
    });
  }
  /// Copies the rows of a tile of queries of a (N, H·E) array, times a factor.
  template <class Group>
  IAPT_DEVICE void load_queries(Group group, compute_type<T>* tile, const T* from, const attention_segment& s,
                                extent kv_head, extent first, int rows, compute_type<T> factor) const {
    group.each(rows * size(), [&](auto n) {
      const int r = int(n.at) / size(), e = int(n.at) % size();
      tile[r * stride() + e] = from[place(s, kv_head, first + r) * size() + e] * factor;
    });
  }
};

/// For every i < m and j < n: c(i, j, Σ_l a(i, l) · b(j, l)) over l < k. A member of the group takes 4 × 4 of them at a
/// time, so that a number that is read serves four products. a and b are also called, in vain, up to three rows
/// further.
template <class T, class Group, class A, class B, class C>
IAPT_DEVICE void tile_product(Group group, int m, int n, int k, A a, B b, C c) {
  const int across = (n + 3) / 4;
  group.each((m + 3) / 4 * across, [&](auto piece) {
    const int i = int(piece.at) / across * 4, j = int(piece.at) % across * 4;
    T sum[4][4] = {};
    for (int l = 0; l < k; ++l) {
      T x[4], y[4];
      for (int p = 0; p < 4; ++p) x[p] = a(i + p, l), y[p] = b(j + p, l);
      for (int p = 0; p < 4; ++p)
        for (int q = 0; q < 4; ++q) sum[p][q] += x[p] * y[q];
    }
    for (int p = 0; p < 4; ++p)
      for (int q = 0; q < 4; ++q)
        if (i + p < m && j + q < n) c(i + p, j + q, sum[p][q]);
  });
}

/// Row kernel: y and log_sum of one tile of queries, by a running softmax over tiles of keys.
/// @par Source Milakov and Gimelshein 2018 (online softmax); Dao et al. 2022, "FlashAttention"
template <class T>
struct attention_forward_tile {
  static constexpr int threads = 256;  ///< of a block
  using value_type = T;                ///< type of one number
  using C = compute_type<T>;           ///< what it computes in
  attention_tiles<T> tiles;            ///< everything
  /// Scratch memory, in numbers.
  IAPT_DEVICE extent scratch() const { return attention_scratch(3, tiles.edge, tiles.size()); }
  /// Tile k.
  template <class Group>
  IAPT_DEVICE void operator()(Group group, extent k) const {
    const attention_query_tile t = tiles.queries[k];
    const attention_segment s = tiles.segments[t.segment];
    const int E = tiles.size(), stride = tiles.stride(), edge = tiles.edge, wide = edge + 1;
    const extent left = s.count * tiles.shared() - t.from;
    const int rows = left < edge ? int(left) : edge;
    const extent last = (t.from + rows - 1) / tiles.shared();
    // kv stands before p, which nobody writes while kv is read beyond its end (tile_product).
    C *y = group.scratch, *q = y + edge * stride, *kv = q + edge * stride, *p = kv + edge * stride,
      *top = p + edge * wide, *sum = top + edge, *shrink = sum + edge;
    tiles.load_queries(group, q, tiles.a.q, s, t.kv_head, t.from, rows, tiles.a.scale);
    group.each(edge * stride, [&](auto n) { y[n.at] = 0; });
    group.each(rows, [&](auto r) { top[r.at] = -std::numeric_limits<C>::infinity(), sum[r.at] = 0; });
    extent turn = 0;
    for (int kind = 0; kind < 3; ++kind) {
      const attention_key_range<T> range = tiles.range(s, t.kv_head, last, kind);
      const extent width = tiles.a.layout.kv_heads * E;
      for (extent from = 0; from < range.count; from += edge) {
        if (turn++ % t.splits != t.split) continue;  // another group's
        const int keys = range.count - from < edge ? int(range.count - from) : edge;
        tiles.load_keys(group, kv, range.k + from * width, keys);
        group.barrier();
        tile_product<C>(
            group, rows, keys, E, [&](int i, int l) { return q[i * stride + l]; },
            [&](int j, int l) { return kv[j * stride + l]; },
            [&](int i, int j, C score) {
              const bool seen = (t.from + i) / tiles.shared() >= range.first + (from + j) * range.step;
              p[i * wide + j] = seen ? score : -std::numeric_limits<C>::infinity();
            });
        group.barrier();
        group.each(rows, [&](auto r) {
          C* const weights = p + r.at * wide;
          C greatest = top[r.at], total = 0;
          for (int j = 0; j < keys; ++j) greatest = weights[j] > greatest ? weights[j] : greatest;
          const bool blind = greatest == -std::numeric_limits<C>::infinity();  // this row sees nothing yet
          for (int j = 0; j < keys; ++j) total += weights[j] = blind ? C(0) : std::exp(weights[j] - greatest);
          shrink[r.at] = blind ? C(1) : std::exp(top[r.at] - greatest);
          sum[r.at] = sum[r.at] * shrink[r.at] + total;
          top[r.at] = greatest;
        });
        tiles.load_keys(group, kv, range.v + from * width, keys);
        group.barrier();
        tile_product<C>(
            group, rows, E, keys, [&](int i, int l) { return p[i * wide + l]; },
            [&](int j, int l) { return kv[l * stride + j]; },
            [&](int i, int j, C more) { y[i * stride + j] = y[i * stride + j] * shrink[i] + more; });
        group.barrier();
      }
    }
    if (t.splits > 1) {
      group.barrier();  // for the zeros, where this group had no keys
      C* const partial = tiles.partial + t.partial * (E + 2);
      group.each(rows * E, [&](auto n) {
        const int r = int(n.at) / E, e = int(n.at) % E;
        partial[r * (E + 2) + e] = y[r * stride + e];
      });
      group.each(rows,
                 [&](auto r) { partial[r.at * (E + 2) + E] = top[r.at], partial[r.at * (E + 2) + E + 1] = sum[r.at]; });
      return;
    }
    group.each(rows * E, [&](auto n) {
      const int r = int(n.at) / E, e = int(n.at) % E;
      tiles.a.y[tiles.place(s, t.kv_head, t.from + r) * E + e] = y[r * stride + e] / sum[r];
    });
    group.each(rows, [&](auto r) {
      tiles.a.log_sum[tiles.place(s, t.kv_head, t.from + r.at)] = top[r.at] + std::log(sum[r.at]);
    });
  }
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
    const extent place = tiles.place(tiles.segments[r.segment], r.kv_head, r.row);
    group.each(E, [&](auto e) {
      C sum = 0;
      for (extent s = 0; s < r.splits; ++s) sum += first[s * step + e.at] * std::exp(first[s * step + E] - top);
      tiles.a.y[place * E + e.at] = sum / total;
    });
    group.once([&] { tiles.a.log_sum[place] = top + std::log(total); });
  }
};

}  // namespace iapt
