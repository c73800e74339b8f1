// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention as team kernels, tile by tile in the scratch memory of a team. The same code runs as
// one thread on the host and as a block of threads on a GPU.
// Shapes: N packed rows, H query heads, G key/value heads, E elements of a head.
#pragma once
#include <cmath>

#include "iapt/backend/concept.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Sequences whose causal self-attention a fused kernel of the backend computes. Tiles then compute only the attention
/// to the past and to the soft tokens.
struct fused_sequences {
  index_t count = 0;                      ///< number of sequences
  index_t longest = 0;                    ///< number of rows of the longest sequence
  index_t rows = 0;                       ///< rows of the packed arrays, up to the last one of these sequences
  const std::int32_t *lengths = nullptr,  ///< number of rows of each sequence
      *query_offsets = nullptr,           ///< offset in elements of each sequence's queries, and the end of the last
          *key_offsets = nullptr,         ///< the same for keys and values
              *sum_offsets = nullptr;     ///< the same for log_sum
  /// `more` of these sequences, from index `first` on.
  fused_sequences part(index_t first, index_t more) const {
    return {more, longest, rows, lengths + first, query_offsets + first, key_offsets + first, sum_offsets + first};
  }
};
/// A tile of queries. In a sequence and key/value head, a row is a query with one of the heads that share the key/value
/// head: row r is query r / (H/G), head r % (H/G).
struct attention_query_tile {
  index_t segment,  ///< which sequence
      kv_head,      ///< which key/value head
      from;         ///< first row
  bool own;         ///< whether the own rows are among the keys; else a fused kernel handles them
};
/// A tile of keys, all of them own rows or all of them soft tokens, and the sequences that attend to them.
struct attention_key_tile {
  index_t begin,       ///< first row in the array of own rows, or of soft tokens
      count,           ///< number of keys
      kv_head,         ///< which key/value head
      first_sequence,  ///< where the sequences' indices start in attention_tiles::attending_sequences
      sequence_count;  ///< number of sequences that attend to them
  bool soft;           ///< whether they are soft tokens
};

/// Elements of scratch memory for some tiles of `tile_size` rows, the weights of as many keys, and three elements for
/// each row.
IAPT_DEVICE index_t attention_scratch(int tiles, index_t tile_size, index_t head_size) {
  return tiles * tile_size * (head_size + 1) + tile_size * (tile_size + 1) + 3 * tile_size;
}

/// Contiguous keys, and which queries of a sequence attend to them.
template <class T>
struct attention_key_range {
  const T *k,          ///< first key, of one head
      *v;              ///< first value
  index_t count;       ///< number of keys
  visibility visible;  ///< which queries attend to them
};

/// Some rows of a sequence and key/value head, such as a tile of queries. Rows are counted in 32 bits: each score needs
/// its row's query, and a GPU divides 64 bits five times slower.
struct attention_rows_of {
  attention_segment s;  ///< the sequence
  index_t kv_head,      ///< the key/value head
      first;            ///< the query of row 0
  std::uint32_t head,   ///< index of row 0's head among those that share the key/value head
      shared;           ///< number of heads that share the key/value head, H/G
  int count;            ///< number of rows
  /// Query of row i of the tile, within its sequence.
  IAPT_DEVICE index_t query(int i) const { return first + (head + std::uint32_t(i)) / shared; }
  /// Query head of row i.
  IAPT_DEVICE index_t query_head(int i) const { return kv_head * shared + (head + std::uint32_t(i)) % shared; }
};

/// Arguments that all tiles of one attention share.
template <class T>
struct attention_tiles {
  using C = compute_type<T>;                ///< type of the computation
  attention_arrays<T> a;                    ///< operands and results
  attention_adjoints<T> d;                  ///< where adjoints are written
  const attention_segment* segments;        ///< the sequences
  const attention_query_tile* queries;      ///< tiles of queries
  const attention_key_tile* keys;           ///< tiles of keys
  const std::int32_t* attending_sequences;  ///< indices of the sequences that attend to each tile of keys
  C *delta,                                 ///< Σ_e dy·y of each row (N, H)
      *partial;                             ///< partial results of decode_attention
  int tile_size;                            ///< rows and keys of a tile

  /// E
  IAPT_DEVICE int size() const { return int(a.layout.head_size); }
  /// Distance between rows of a tile: E + 1, so that a GPU's banks are used evenly.
  IAPT_DEVICE int stride() const { return size() + 1; }
  /// Distance between rows of a tile of weights.
  IAPT_DEVICE int row_stride() const { return tile_size + 1; }
  /// Elements from one row of keys or values to the next, G·E.
  IAPT_DEVICE index_t key_width() const { return a.layout.kv_heads * size(); }
  /// The rows of a sequence and key/value head from `from` on, at most `tile_size`.
  IAPT_DEVICE attention_rows_of rows(const attention_segment& s, index_t kv_head, index_t from) const {
    return rows(s, kv_head, from, tile_size);
  }
  /// The same, at most `most`.
  IAPT_DEVICE attention_rows_of rows(const attention_segment& s, index_t kv_head, index_t from, int most) const {
    const std::uint32_t shared = std::uint32_t(a.layout.heads) / std::uint32_t(a.layout.kv_heads);
    const std::uint32_t begin = std::uint32_t(from);
    const index_t left = s.count * shared - from;
    return {s, kv_head, begin / shared, begin % shared, shared, left < most ? int(left) : most};
  }
  /// Index in (N, H) of row i of a tile.
  IAPT_DEVICE index_t place(const attention_rows_of& at, int i) const {
    return (at.s.begin + at.query(i)) * a.layout.heads + at.query_head(i);
  }
  /// Calls f(keys) for all keys that a tile of queries attends to, at most `tile_size` at a time: the past, the soft
  /// tokens and, if `own`, the own rows up to the last query.
  template <class F>
  IAPT_DEVICE void each_key_tile(const attention_rows_of& at, bool own, int tile_size, F f) const {
    const index_t last = at.query(at.count - 1), width = key_width(), column = at.kv_head * size();
    for (int number = 0; number < (own ? 3 : 2); ++number) {
      const key_kind kind{number};
      const bool past = kind == key_kind::past, soft = kind == key_kind::soft;
      const T *const k = past ? a.past_k : soft ? a.soft_k : a.k, *const v = past ? a.past_v : soft ? a.soft_v : a.v;
      const visibility visible(at.s, kind);
      const index_t begin = soft ? at.s.soft_begin : at.s.begin, count = visibility::keys(at.s, kind, last);
      for (index_t from = 0, keys = 0; from < count; from += keys) {
        keys = count - from < tile_size ? count - from : tile_size;
        if (past) keys = a.past.contiguous_run(from, keys);
        const index_t start = (past ? a.past.row(at.s, from) : begin + from) * width + column;
        f(attention_key_range<T>{k + start, v + start, keys, visible.from(from)});
      }
    }
  }
  /// Copies rows of one head from a (·, G·E) array into a tile.
  template <class Team>
  IAPT_DEVICE void load_keys(Team team, C* tile, const T* from, index_t rows) const {
    team.for_each_element(rows * size(), [&](auto n) {
      const int r = int(n.at) / size(), e = int(n.at) % size();
      tile[r * stride() + e] = from[r * key_width() + e];
    });
  }
  /// Copies the rows of a tile of queries from a (N, H·E) array, times a factor.
  template <class Team>
  IAPT_DEVICE void load_queries(Team team, C* tile, const T* from, const attention_rows_of& at, C factor) const {
    team.for_each_element(at.count * size(), [&](auto n) {
      const int r = int(n.at) / size(), e = int(n.at) % size();
      tile[r * stride() + e] = from[place(at, r) * size() + e] * factor;
    });
  }
};

/// For every i < m and j < n: calls c(i, j, Σ_l a(i, l) · b(j, l)), l < k. A thread of the team computes 4 × 4 sums at
/// a time, so that each element that is read serves four products. It also reads up to three rows of a and b beyond m
/// and n, and discards the results.
template <class T, class Team, class A, class B, class C>
IAPT_DEVICE void tile_product(Team team, int m, int n, int k, A a, B b, C c) {
  const int across = (n + 3) / 4;
  team.for_each_element((m + 3) / 4 * across, [&](auto piece) {
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

/// Team kernel: y and log_sum of one tile of queries, by a running softmax over tiles of keys.
/// @par Source Milakov and Gimelshein 2018 (online softmax); Dao et al. 2022, "FlashAttention"
template <class T>
struct attention_forward_tile {
  static constexpr int threads = 256;  ///< threads of a block
  using value_type = T;
  using C = compute_type<T>;  ///< type of the computation
  attention_tiles<T> tiles;   ///< arguments of all tiles
  /// Scratch memory, in elements.
  IAPT_DEVICE index_t scratch() const { return attention_scratch(3, tiles.tile_size, tiles.size()); }
  /// Computes tile k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const attention_query_tile t = tiles.queries[k];
    const attention_rows_of at = tiles.rows(tiles.segments[t.segment], t.kv_head, t.from);
    const int E = tiles.size(), stride = tiles.stride(), tile_size = tiles.tile_size, row_stride = tiles.row_stride(),
              rows = at.count;
    // kv is before p: tile_product reads beyond the end of kv, and no thread writes p at that time.
    C *y = team.scratch, *q = y + tile_size * stride, *kv = q + tile_size * stride, *p = kv + tile_size * stride,
      *top = p + tile_size * row_stride, *sum = top + tile_size, *shrink = sum + tile_size;
    tiles.load_queries(team, q, tiles.a.q, at, tiles.a.scale);
    if (t.own) {
      team.for_each_element(tile_size * stride, [&](auto n) { y[n.at] = 0; });
      team.for_each_element(rows, [&](auto r) { top[r.at] = lowest<C>, sum[r.at] = 0; });
    } else {  // starts from the fused kernel's result, as if it were one key
      tiles.load_queries(team, y, tiles.a.y, at, C(1));
      team.for_each_element(rows,
                            [&](auto r) { top[r.at] = tiles.a.log_sum[tiles.place(at, int(r.at))], sum[r.at] = 1; });
    }
    tiles.each_key_tile(at, t.own, tile_size, [&](const attention_key_range<T>& range) {
      const int keys = int(range.count);
      tiles.load_keys(team, kv, range.k, keys);
      team.barrier();
      tile_product<C>(
          team, rows, keys, E, [&](int i, int l) { return q[i * stride + l]; },
          [&](int j, int l) { return kv[j * stride + l]; },
          [&](int i, int j, C score) {
            p[i * row_stride + j] = range.visible.sees(at.query(i), j) ? score : lowest<C>;
          });
      team.barrier();
      team.for_each_element(rows, [&](auto r) {
        C greatest = top[r.at];
        for (int j = 0; j < keys; ++j)
          greatest = p[r.at * row_stride + j] > greatest ? p[r.at * row_stride + j] : greatest;
        shrink[r.at] = greatest == lowest<C> ? C(1) : std::exp(top[r.at] - greatest);
        top[r.at] = greatest;
      });
      tiles.load_keys(team, kv, range.v, keys);
      team.barrier();
      team.for_each_element(rows * keys, [&](auto n) {
        const int i = int(n.at) / keys, j = int(n.at) % keys;
        C& weight = p[i * row_stride + j];
        weight = top[i] == lowest<C> ? C(0) : std::exp(weight - top[i]);  // a row may attend to no key so far
      });
      team.barrier();
      team.for_each_element(rows, [&](auto r) {
        C total = 0;
        for (int j = 0; j < keys; ++j) total += p[r.at * row_stride + j];
        sum[r.at] = sum[r.at] * shrink[r.at] + total;
      });
      tile_product<C>(
          team, rows, E, keys, [&](int i, int l) { return p[i * row_stride + l]; },
          [&](int j, int l) { return kv[l * stride + j]; },
          [&](int i, int j, C more) { y[i * stride + j] = y[i * stride + j] * shrink[i] + more; });
      team.barrier();
    });
    team.barrier();  // without keys, for the initial values
    team.for_each_element(rows * E, [&](auto n) {
      const int r = int(n.at) / E, e = int(n.at) % E;
      tiles.a.y[tiles.place(at, r) * E + e] = y[r * stride + e] / sum[r];
    });
    team.for_each_element(
        rows, [&](auto r) { tiles.a.log_sum[tiles.place(at, int(r.at))] = top[r.at] + std::log(sum[r.at]); });
  }
};

}  // namespace iapt
