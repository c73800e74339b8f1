// SPDX-License-Identifier: Apache-2.0
// The adjoints of attention as team kernels, on the tiles of attention.hpp.
// Shapes: N packed rows, H query heads, G key/value heads, E elements of a head.
#pragma once
#include "iapt/backend/thrust/attention.hpp"

namespace iapt {

/// Team kernel: δ = Σ_e dy·y of one row and head.
template <class T>
struct attention_delta {
  static constexpr int threads = 32;  ///< threads of a block: a head has few elements
  using value_type = T;
  attention_tiles<T> tiles;  ///< arguments of all tiles
  /// Computes row and head k, of (N, H).
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const row<const T> y{tiles.a.y + k * tiles.size()}, dy{tiles.d.dy + k * tiles.size()};
    const auto s = team.sum(tiles.size(), [&](auto e) { return y[e] * dy[e]; });
    team.single([&] { tiles.delta[k] = s; });
  }
};

/// p(i, j) = exp(score − log_sum), or 0 if row i does not attend to key j: the weights of the forward, computed again.
template <class T, class Team>
IAPT_DEVICE void attention_weights(Team team, const attention_tiles<T>& tiles, const attention_rows_of& at,
                                   const attention_key_range<T>& range, const compute_type<T>* q,
                                   const compute_type<T>* key, compute_type<T>* p) {
  using C = compute_type<T>;
  const int stride = tiles.stride(), row_stride = tiles.row_stride();
  tile_product<C>(
      team, at.count, int(range.count), tiles.size(), [&](int i, int l) { return q[i * stride + l]; },
      [&](int j, int l) { return key[j * stride + l]; },
      [&](int i, int j, C score) {
        const bool seen = range.visible.sees(at.query(i), j);
        p[i * row_stride + j] = seen ? std::exp(score - tiles.a.log_sum[tiles.place(at, i)]) : C(0);
      });
}
/// Replaces p by ds = p (dy vᵀ − δ), the adjoint of the scores. Each thread of the team has the same i and j as in
/// attention_weights.
template <class T, class Team>
IAPT_DEVICE void attention_score_adjoints(Team team, const attention_tiles<T>& tiles, const attention_rows_of& at,
                                          index_t keys, const compute_type<T>* dy, const compute_type<T>* value,
                                          compute_type<T>* p) {
  using C = compute_type<T>;
  const int stride = tiles.stride(), row_stride = tiles.row_stride();
  tile_product<C>(
      team, at.count, int(keys), tiles.size(), [&](int i, int l) { return dy[i * stride + l]; },
      [&](int j, int l) { return value[j * stride + l]; },
      [&](int i, int j, C dp) { p[i * row_stride + j] *= dp - tiles.delta[tiles.place(at, i)]; });
}

/// Team kernel: dq of one tile of queries, dq += ds k · scale.
template <class T>
struct attention_query_adjoint_tile {
  static constexpr int threads = 256;  ///< threads of a block
  using value_type = T;
  using C = compute_type<T>;  ///< type of the computation
  attention_tiles<T> tiles;   ///< arguments of all tiles
  /// Scratch memory, in elements.
  IAPT_DEVICE index_t scratch() const { return attention_scratch(5, tiles.tile_size, tiles.size()); }
  /// Computes tile k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const attention_query_tile t = tiles.queries[k];
    const attention_rows_of at = tiles.rows(tiles.segments[t.segment], t.kv_head, t.from);
    const int E = tiles.size(), stride = tiles.stride(), tile_size = tiles.tile_size, row_stride = tiles.row_stride(),
              rows = at.count;
    C *q = team.scratch, *dy = q + tile_size * stride, *dq = dy + tile_size * stride, *key = dq + tile_size * stride,
      *value = key + tile_size * stride, *p = value + tile_size * stride;
    tiles.load_queries(team, q, tiles.a.q, at, tiles.a.scale);
    tiles.load_queries(team, dy, tiles.d.dy, at, C(1));
    team.for_each_element(tile_size * stride, [&](auto n) { dq[n.at] = 0; });
    tiles.each_key_tile(at, t.own, tile_size, [&](const attention_key_range<T>& range) {
      tiles.load_keys(team, key, range.k, range.count);
      tiles.load_keys(team, value, range.v, range.count);
      team.barrier();
      attention_weights(team, tiles, at, range, q, key, p);
      attention_score_adjoints(team, tiles, at, range.count, dy, value, p);
      team.barrier();
      tile_product<C>(
          team, rows, E, int(range.count), [&](int i, int l) { return p[i * row_stride + l]; },
          [&](int j, int l) { return key[l * stride + j]; }, [&](int i, int j, C more) { dq[i * stride + j] += more; });
      team.barrier();
    });
    team.barrier();  // without keys, for the zeros
    team.for_each_element(rows * E, [&](auto n) {
      const int r = int(n.at) / E, e = int(n.at) % E;
      T& to = tiles.d.dq[tiles.place(at, r) * E + e];
      to = to + dq[r * stride + e] * tiles.a.scale;
    });
  }
};

/// Team kernel: dk and dv of one tile of keys, summed over the sequences that attend to it and their queries, in order:
/// dv += pᵀ dy, dk += dsᵀ q · scale.
template <class T>
struct attention_key_adjoint_tile {
  static constexpr int threads = 256;  ///< threads of a block
  using value_type = T;
  using C = compute_type<T>;  ///< type of the computation
  attention_tiles<T> tiles;   ///< arguments of all tiles
  /// Scratch memory, in elements.
  IAPT_DEVICE index_t scratch() const { return attention_scratch(6, tiles.tile_size, tiles.size()); }
  /// Computes tile k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const attention_key_tile t = tiles.keys[k];
    T *const to_k = t.soft ? tiles.d.dsoft_k : tiles.d.dk, *const to_v = t.soft ? tiles.d.dsoft_v : tiles.d.dv;
    if (!to_k && !to_v) return;
    const int E = tiles.size(), stride = tiles.stride(), tile_size = tiles.tile_size, row_stride = tiles.row_stride(),
              keys = int(t.count);
    const index_t width = tiles.key_width(), start = t.begin * width + t.kv_head * E;
    C *key = team.scratch, *value = key + tile_size * stride, *dk = value + tile_size * stride,
      *dv = dk + tile_size * stride, *q = dv + tile_size * stride, *dy = q + tile_size * stride,
      *p = dy + tile_size * stride;
    const T* const keys_at = (t.soft ? tiles.a.soft_k : tiles.a.k) + start;
    const T* const values_at = (t.soft ? tiles.a.soft_v : tiles.a.v) + start;
    tiles.load_keys(team, key, keys_at, keys);
    tiles.load_keys(team, value, values_at, keys);
    team.for_each_element(tile_size * stride, [&](auto n) { dk[n.at] = dv[n.at] = 0; });
    for (index_t n = 0; n < t.sequence_count; ++n) {
      const attention_segment s = tiles.segments[tiles.attending_sequences[t.first_sequence + n]];
      const visibility all(s, t.soft ? key_kind::soft : key_kind::own);
      const attention_key_range<T> range{keys_at, values_at, t.count,
                                         all.from(t.begin - (t.soft ? s.soft_begin : s.begin))};
      const index_t shared = tiles.a.layout.heads / tiles.a.layout.kv_heads;
      for (index_t from = range.visible.first_query() * shared; from < s.count * shared; from += tile_size) {
        const attention_rows_of at = tiles.rows(s, t.kv_head, from);
        tiles.load_queries(team, q, tiles.a.q, at, tiles.a.scale);
        tiles.load_queries(team, dy, tiles.d.dy, at, C(1));
        team.barrier();
        attention_weights(team, tiles, at, range, q, key, p);
        team.barrier();
        tile_product<C>(
            team, keys, E, at.count, [&](int i, int l) { return p[l * row_stride + i]; },
            [&](int j, int l) { return dy[l * stride + j]; },
            [&](int i, int j, C more) { dv[i * stride + j] += more; });
        team.barrier();
        attention_score_adjoints(team, tiles, at, keys, dy, value, p);
        team.barrier();
        tile_product<C>(
            team, keys, E, at.count, [&](int i, int l) { return p[l * row_stride + i]; },
            [&](int j, int l) { return q[l * stride + j]; }, [&](int i, int j, C more) { dk[i * stride + j] += more; });
        team.barrier();
      }
    }
    team.barrier();  // without queries, for the zeros
    team.for_each_element(keys * E, [&](auto n) {
      const int r = int(n.at) / E, e = int(n.at) % E;
      const index_t at = start + r * width + e;
      if (to_k) to_k[at] = to_k[at] + dk[r * stride + e];
      if (to_v) to_v[at] = to_v[at] + dv[r * stride + e];
    });
  }
};

}  // namespace iapt
