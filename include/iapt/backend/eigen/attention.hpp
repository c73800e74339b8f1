// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention on the CPU, tile by tile: no more than one tile of scores exists at a time.
// Shapes: N packed rows, H query heads, G key/value heads, E numbers in a head.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/eigen/pack.hpp"
#include "iapt/backend/eigen/product.hpp"
#include "iapt/backend/group.hpp"

namespace iapt {

/// One piece of work: a head's tile of queries.
struct attention_task {
  extent segment;  ///< which sequence
  extent head;     ///< which query head
  extent from;     ///< first query of the tile, within the sequence
};
/// Rows of queries and of keys in a tile.
inline constexpr extent attention_tile = 64;

/// All tiles of all heads, the long ones of a sequence last.
inline std::vector<attention_task> attention_tasks(const head_layout& layout,
                                                   std::span<const attention_segment> segments) {
  std::vector<attention_task> tasks;
  for (extent s = 0; s < extent(segments.size()); ++s)
    for (extent from = 0; from < segments[s].count; from += attention_tile)
      for (extent h = 0; h < layout.heads; ++h) tasks.push_back({s, h, from});
  return tasks;
}

/// Whether two sequences see the same soft tokens, so that their adjoints meet and must not be computed at once.
inline bool prefixes_overlap(std::span<const attention_segment> segments) {
  std::vector<std::pair<extent, extent>> rows;
  for (const attention_segment& s : segments)
    if (s.prefix_count) rows.push_back({s.prefix_begin, s.prefix_begin + s.prefix_count});
  std::sort(rows.begin(), rows.end());
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (rows[i].first < rows[i - 1].second) return true;
  return false;
}

/// A block of keys that a tile of queries may see.
template <class T>
struct key_block {
  const T *k,    ///< first key, of one head
      *v;        ///< first value
  T *dk,         ///< adjoint of the first key, or null
      *dv;       ///< adjoint of the first value, or null
  extent count;  ///< number of keys
  extent first;  ///< key j is seen by queries i ≥ first + j · step (own rows: step 1)
  extent step;   ///< 0 where all keys of the block are seen by the same queries
};

/// Calls f for each block of keys that queries [from, to) of a sequence may see, in a fixed order.
template <class T, class F>
void for_each_key_block(const attention_arrays<T>& a, const attention_adjoints<T>& d, const attention_segment& s,
                        extent kv_head, extent to, F f) {
  const extent width = a.layout.kv_heads * a.layout.head_size, column = kv_head * a.layout.head_size;
  const auto blocks = [&](const T* k, const T* v, T* dk, T* dv, extent begin, extent count, extent first, extent step) {
    for (extent j = 0; j < count; j += attention_tile) {
      const extent at = (begin + j) * width + column;
      f(key_block<T>{k + at, v + at, dk ? dk + at : nullptr, dv ? dv + at : nullptr,
                     std::min(attention_tile, count - j), first + j * step, step});
    }
  };
  blocks(a.past_k, a.past_v, nullptr, nullptr, s.past_begin, s.past_count, 0, 0);
  if (to > s.prefix_from)
    blocks(a.prefix_k, a.prefix_v, d.dprefix_k, d.dprefix_v, s.prefix_begin, s.prefix_count, s.prefix_from, 0);
  blocks(a.k, a.v, d.dk, d.dv, s.begin, std::min(to, s.count), 0, 1);
}

/// scores (rows, keys) = scale · q · kᵀ, −∞ where a query may not look.
template <class T>
void masked_scores(const attention_arrays<T>& a, const T* q, extent from, extent rows, const key_block<T>& block,
                   T* scores) {
  const extent E = a.layout.head_size, q_width = a.layout.heads * E, k_width = a.layout.kv_heads * E;
  if (rows == 1)
    dot_products<T>(1, 0, block.count, E, {q, q_width}, {block.k, k_width, true}, {scores, attention_tile}, false);
  else
    eigen_matmul<T>(rows, block.count, E, {q, q_width}, {block.k, k_width, true}, {scores, attention_tile}, false);
  for (extent i = 0; i < rows; ++i) {
    extent seen = block.count;
    if (block.step)
      seen = std::clamp<extent>(from + i - block.first + 1, 0, block.count);
    else if (from + i < block.first)
      seen = 0;
    T* row = scores + i * attention_tile;
    for (extent j = 0; j < seen; ++j) row[j] *= a.scale;
    for (extent j = seen; j < block.count; ++j) row[j] = -std::numeric_limits<T>::infinity();
  }
}

/// One tile of queries of one head: y and log_sum, by a running softmax over blocks of keys.
/// @par Source Milakov and Gimelshein 2018 (online softmax); Dao et al. 2022, "FlashAttention"
template <class T>
void attention_forward(const attention_arrays<T>& a, std::span<const attention_segment> segments,
                       const attention_task& task) {
  const attention_segment& s = segments[task.segment];
  const extent E = a.layout.head_size, q_width = a.layout.heads * E, k_width = a.layout.kv_heads * E;
  const extent kv_head = task.head / (a.layout.heads / a.layout.kv_heads);
  const extent rows = std::min(attention_tile, s.count - task.from), first = s.begin + task.from;
  const T* q = a.q + first * q_width + task.head * E;
  T* y = a.y + first * q_width + task.head * E;
  T scores[attention_tile * attention_tile], greatest[attention_tile], sum[attention_tile];
  const lone_group<T, pack<T>> group;
  for (extent i = 0; i < rows; ++i) {
    greatest[i] = -std::numeric_limits<T>::infinity(), sum[i] = 0;
    std::fill_n(y + i * q_width, E, T(0));
  }
  for_each_key_block(a, {}, s, kv_head, task.from + rows, [&](const key_block<T>& block) {
    masked_scores(a, q, task.from, rows, block, scores);
    for (extent i = 0; i < rows; ++i) {
      const row<T> score{scores + i * attention_tile}, result{y + i * q_width};
      const T top = group.max(block.count, greatest[i], [&](auto j) { return score(j); });
      if (top == -std::numeric_limits<T>::infinity()) {  // this query sees nothing yet
        std::fill_n(score.p, block.count, T(0));
        continue;
      }
      const T shrink = std::exp(greatest[i] - top);
      group.each(block.count, [&](auto j) {
        using std::exp;
        score[j] = exp(score(j) - top);
      });
      sum[i] = sum[i] * shrink + group.sum(block.count, [&](auto j) { return score(j); });
      if (shrink != T(1)) group.each(E, [&](auto e) { result[e] = result(e) * shrink; });
      greatest[i] = top;
    }
    if (rows == 1) {
      for (extent j = 0; j < block.count; ++j) {
        const T weight = scores[j];
        const row<T> result{y};
        const row<const T> value{block.v + j * k_width};
        group.each(E, [&](auto e) { result[e] = result(e) + value(e) * weight; });
      }
    } else {
      eigen_matmul<T>(rows, E, block.count, {scores, attention_tile}, {block.v, k_width}, {y, q_width}, true);
    }
  });
  for (extent i = 0; i < rows; ++i) {
    const row<T> result{y + i * q_width};
    group.each(E, [&](auto e) { result[e] = result(e) * (1 / sum[i]); });
    a.log_sum[(first + i) * a.layout.heads + task.head] = greatest[i] + std::log(sum[i]);
  }
}

/// Adjoints of one sequence and key/value head; the query heads that share it come one after another, so that every
/// sum has a fixed order. With p = exp(score − log_sum), δ = Σ_e dy·y:  dv += pᵀ dy,  ds = p (dy vᵀ − δ) · scale,
/// dq += ds k,  dk += dsᵀ q.
template <class T>
void attention_backward(const attention_arrays<T>& a, const attention_adjoints<T>& d, const attention_segment& s,
                        extent kv_head) {
  const extent E = a.layout.head_size, q_width = a.layout.heads * E, k_width = a.layout.kv_heads * E;
  const extent shared = a.layout.heads / a.layout.kv_heads, tile = attention_tile;
  T p[attention_tile * attention_tile], ds[attention_tile * attention_tile], delta[attention_tile];
  const lone_group<T, pack<T>> group;
  for (extent h = kv_head * shared; h < (kv_head + 1) * shared; ++h)
    for (extent from = 0; from < s.count; from += tile) {
      const extent rows = std::min(tile, s.count - from), first = s.begin + from, at = first * q_width + h * E;
      for (extent i = 0; i < rows; ++i) {
        const row<const T> y{a.y + at + i * q_width}, dy{d.dy + at + i * q_width};
        delta[i] = group.sum(E, [&](auto e) { return y[e] * dy[e]; });
      }
      for_each_key_block(a, d, s, kv_head, from + rows, [&](const key_block<T>& block) {
        if (!block.dk && !block.dv && !d.dq) return;
        masked_scores(a, a.q + at, from, rows, block, p);
        eigen_matmul<T>(rows, block.count, E, {d.dy + at, q_width}, {block.v, k_width, true}, {ds, tile}, false);
        for (extent i = 0; i < rows; ++i) {
          const T log_sum = a.log_sum[(first + i) * a.layout.heads + h];
          const row<T> weight{p + i * tile}, dscore{ds + i * tile};
          group.each(block.count, [&](auto j) {
            using std::exp;
            const auto w = exp(weight(j) - log_sum);
            weight[j] = w;
            dscore[j] = w * (dscore(j) - delta[i]) * a.scale;
          });
        }
        if (block.dv)
          eigen_matmul<T>(block.count, E, rows, {p, tile, true}, {d.dy + at, q_width}, {block.dv, k_width}, true);
        if (block.dk)
          eigen_matmul<T>(block.count, E, rows, {ds, tile, true}, {a.q + at, q_width}, {block.dk, k_width}, true);
        if (d.dq) eigen_matmul<T>(rows, E, block.count, {ds, tile}, {block.k, k_width}, {d.dq + at, q_width}, true);
      });
    }
}

}  // namespace iapt
