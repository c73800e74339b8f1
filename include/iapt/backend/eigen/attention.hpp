// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention on the CPU, tile by tile: a thread has only one tile of scores in memory.
// Shapes: N packed rows, H query heads, G key/value heads, E elements of a head.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/eigen/native_vec.hpp"
#include "iapt/backend/eigen/product.hpp"
#include "iapt/backend/team.hpp"

namespace iapt {

/// One task: a tile of queries, for some of the heads that share a key/value head. These heads are one matmul, so keys
/// and values are packed once for all of them.
struct attention_task {
  index_t segment;  ///< which sequence
  index_t kv_head;  ///< which key/value head
  index_t head;     ///< first query head
  index_t heads;    ///< number of query heads
  index_t from;     ///< first query, within the sequence
  index_t count;    ///< number of queries
  /// Number of rows of the tile: query i of head h is row i · heads + h.
  index_t rows() const { return count * heads; }
};
/// Number of keys of a block.
inline constexpr index_t attention_keys = 64;
/// Greatest number of rows of a tile.
inline constexpr index_t attention_rows = 128;

/// Adds all tiles of one sequence and key/value head, from the first query to the last.
inline void add_attention_tasks(std::vector<attention_task>& tasks, const head_layout& layout,
                                const attention_segment& s, index_t segment, index_t kv_head) {
  const index_t shared = layout.heads / layout.kv_heads, heads = std::min<index_t>(shared, 8);
  for (index_t from = 0, count = attention_rows / heads; from < s.count; from += count)
    for (index_t h = 0; h < shared; h += heads)
      tasks.push_back(
          {segment, kv_head, kv_head * shared + h, std::min(heads, shared - h), from, std::min(count, s.count - from)});
}
/// The tiles of all sequences.
inline std::vector<attention_task> attention_tasks(const head_layout& layout,
                                                   std::span<const attention_segment> segments) {
  std::vector<attention_task> tasks;
  for (index_t s = 0; s < index_t(segments.size()); ++s)
    for (index_t g = 0; g < layout.kv_heads; ++g) add_attention_tasks(tasks, layout, segments[s], s, g);
  return tasks;
}

/// Whether two sequences attend to the same soft tokens: their adjoints then must not be computed at the same time.
inline bool prefixes_overlap(std::span<const attention_segment> segments) {
  std::vector<std::pair<index_t, index_t>> rows;
  for (const attention_segment& s : segments)
    if (s.soft_count) rows.push_back({s.soft_begin, s.soft_begin + s.soft_count});
  std::sort(rows.begin(), rows.end());
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (rows[i].first < rows[i - 1].second) return true;
  return false;
}

/// The CPU's plan for an attention.
struct eigen_attention_plan {
  std::vector<attention_segment> segments;  ///< the sequences
  std::vector<attention_task> tasks;        ///< tiles of queries
  bool overlap;                             ///< whether sequences share soft tokens
  block_table table;                        ///< block table of the past
  /// Replaces the sequences by others that differ only in their past.
  void replace(const std::vector<attention_segment>& others, const block_table& where) {
    segments = others, table = where;
  }
};

/// A block of keys that a tile of queries attends to.
template <class T>
struct key_block {
  const T *k,          ///< first key, of one head
      *v;              ///< first value
  T *dk,               ///< adjoint of the first key, or null
      *dv;             ///< adjoint of the first value, or null
  index_t count;       ///< number of keys
  visibility visible;  ///< which queries attend to them
};

/// Calls f for each block of keys that a sequence's queries before `to` attend to, in a fixed order.
template <class T, class F>
void for_each_key_block(const attention_arrays<T>& a, const attention_adjoints<T>& d, const attention_segment& s,
                        index_t kv_head, index_t to, F f) {
  const index_t width = a.layout.kv_heads * a.layout.head_size, column = kv_head * a.layout.head_size;
  const auto blocks = [&](key_kind kind, const T* k, const T* v, T* dk, T* dv, index_t begin) {
    const visibility visible(s, kind);
    const index_t count = visibility::keys(s, kind, to - 1);
    for (index_t j = 0; j < count; j += attention_keys) {
      const index_t at = (begin + j) * width + column;
      f(key_block<T>{k + at, v + at, dk ? dk + at : nullptr, dv ? dv + at : nullptr,
                     std::min(attention_keys, count - j), visible.from(j)});
    }
  };
  for (index_t j = 0, count = 0; j < s.past_count; j += count) {
    count = a.past.contiguous_run(j, std::min(attention_keys, s.past_count - j));
    const index_t at = a.past.row(s, j) * width + column;
    f(key_block<T>{a.past_k + at, a.past_v + at, nullptr, nullptr, count, visibility(s, key_kind::past)});
  }
  blocks(key_kind::soft, a.soft_k, a.soft_v, d.dsoft_k, d.dsoft_v, s.soft_begin);
  blocks(key_kind::own, a.k, a.v, d.dk, d.dv, s.begin);
}

/// A tile of queries, and where its rows are in the arrays.
template <class T>
struct attention_tile {
  const attention_arrays<T>& a;       ///< operands and results
  const attention_segment& s;         ///< the sequence
  const attention_task& task;         ///< the rows of the tile
  index_t size = a.layout.head_size;  ///< E

  /// Offset of row r in the arrays of queries and results.
  index_t at(index_t r) const {
    return ((s.begin + task.from + r / task.heads) * a.layout.heads + task.head + r % task.heads) * size;
  }
  /// Index of row r in log_sum.
  index_t sum_at(index_t r) const { return at(r) / size; }
  /// Copies the tile's rows of an array, times a factor (rows, E).
  std::vector<T> gather(const T* from, T factor = 1) const {
    std::vector<T> rows(std::size_t(task.rows() * size));
    for (index_t r = 0; r < task.rows(); ++r) {
      const row<const T> in{from + at(r)};
      const row<T> out{rows.data() + r * size};
      serial_team<T, native_vec<T>>{}.for_each(size, [&](auto e) { out[e] = in(e)*factor; });
    }
    return rows;
  }
  /// Writes a row's y and log_sum, from values = Σ weight · v and sum = Σ weight, with weight = exp(score − top).
  void write(index_t r, const T* values, T top, T sum) const {
    const row<const T> from{values};
    const row<T> to{a.y + at(r)};
    serial_team<T, native_vec<T>>{}.for_each(size, [&](auto e) { to[e] = from(e) * (1 / sum); });
    a.log_sum[sum_at(r)] = top + std::log(sum);
  }
  /// scores (rows, keys) = q · kᵀ, −∞ if the key is not visible to the query. q is a gathered tile, scaled.
  void scores(const T* q, const key_block<T>& block, T* scores) const {
    const index_t k_width = a.layout.kv_heads * size, rows = task.rows();
    const matrix_ref<const T> left{q, size}, right{block.k, k_width, true};
    const matrix_ref<T> to{scores, attention_keys};
    if (rows <= 16)
      dot_products<T>(rows, 0, block.count, size, left, dense_rows<T>{block.k, k_width}, to, false);
    else
      eigen_matmul<T>(rows, block.count, size, left, right, to, false);
    for (index_t r = 0; r < rows; ++r) {
      const index_t seen = block.visible.keys_of(task.from + r / task.heads, block.count);
      std::fill_n(scores + r * attention_keys + seen, block.count - seen, lowest<T>);
    }
  }
};

/// Replaces one query's scores by weights, exp(score − top), and returns their sum.
template <class T>
T weigh(row<T> scores, index_t keys, T top) {
  return serial_team<T, native_vec<T>>{}.sum(keys, [&](auto j) {
    using std::exp;
    const auto weight = exp(scores(j) - top);
    scores[j] = weight;
    return weight;
  });
}

/// Computes one tile: y and log_sum, by a running softmax over blocks of keys.
/// @par Source Milakov and Gimelshein 2018 (online softmax); Dao et al. 2022, "FlashAttention"
template <class T>
void attention_forward(const attention_arrays<T>& a, std::span<const attention_segment> segments,
                       const attention_task& task) {
  const attention_tile<T> tile{a, segments[task.segment], task};
  const index_t E = a.layout.head_size, k_width = a.layout.kv_heads * E, rows = task.rows();
  const serial_team<T, native_vec<T>> team;
  const std::vector<T> q = tile.gather(a.q, a.scale);
  std::vector<T> y(q.size());
  T scores[attention_rows * attention_keys], greatest[attention_rows], sum[attention_rows];
  std::fill_n(greatest, rows, lowest<T>);
  std::fill_n(sum, rows, T(0));
  for_each_key_block(a, {}, tile.s, task.kv_head, task.from + task.count, [&](const key_block<T>& block) {
    tile.scores(q.data(), block, scores);
    for (index_t r = 0; r < rows; ++r) {
      const row<T> score{scores + r * attention_keys}, result{y.data() + r * E};
      const T top = team.max(block.count, greatest[r], [&](auto j) { return score(j); });
      if (top == lowest<T>) {  // no key is visible to this query so far
        std::fill_n(score.p, block.count, T(0));
        continue;
      }
      const T shrink = std::exp(greatest[r] - top);
      sum[r] = sum[r] * shrink + weigh(score, block.count, top);
      if (shrink != T(1)) team.for_each(E, [&](auto e) { result[e] = result(e) * shrink; });
      greatest[r] = top;
    }
    const matrix_ref<const T> weights{scores, attention_keys}, values{block.v, k_width};
    if (rows <= 16)
      sum_products<T>(rows, E, block.count, weights, values, {y.data(), E});
    else
      eigen_matmul<T>(rows, E, block.count, weights, values, {y.data(), E}, true);
  });
  for (index_t r = 0; r < rows; ++r) tile.write(r, y.data() + r * E, greatest[r], sum[r]);
}

/// Computes one tile like attention_forward, but query by query: all scores of a query are in memory, with one softmax.
/// So the bits of its result depend only on the query, and on the keys and values that it attends to, in their order:
/// not on where past, prefix, own rows and blocks begin, nor on other queries.
template <class T>
void attention_forward_by_query(const attention_arrays<T>& a, std::span<const attention_segment> segments,
                                const attention_task& task) {
  const attention_tile<T> tile{a, segments[task.segment], task};
  const index_t E = a.layout.head_size, k_width = a.layout.kv_heads * E, heads = task.heads;
  const index_t most = tile.s.past_count + tile.s.soft_count + task.from + task.count;
  const serial_team<T, native_vec<T>> team;
  const std::vector<T> q = tile.gather(a.q, a.scale);
  std::vector<T> scores(std::size_t(heads * most)), y(std::size_t(heads * E));
  for (index_t i = 0; i < task.count; ++i) {
    index_t keys = 0;
    const auto each_block = [&](auto f) {
      keys = 0;
      for_each_key_block(a, {}, tile.s, task.kv_head, task.from + i + 1, [&](const key_block<T>& block) {
        f(block, scores.data() + keys);
        keys += block.count;
      });
    };
    each_block([&](const key_block<T>& block, T* to) {
      dot_products<T>(heads, 0, block.count, E, {q.data() + i * heads * E, E}, dense_rows<T>{block.k, k_width},
                      {to, most}, false);
    });
    T top[attention_rows], sum[attention_rows];
    for (index_t h = 0; h < heads; ++h) {
      const row<T> score{scores.data() + h * most};
      top[h] = team.max(keys, lowest<T>, [&](auto j) { return score(j); });
      sum[h] = weigh(score, keys, top[h]);
    }
    std::fill(y.begin(), y.end(), T(0));
    each_block([&](const key_block<T>& block, const T* weights) {
      sum_products<T>(heads, E, block.count, {weights, most}, {block.v, k_width}, {y.data(), E});
    });
    for (index_t h = 0; h < heads; ++h) tile.write(i * heads + h, y.data() + h * E, top[h], sum[h]);
  }
}

/// Adjoints of one sequence and key/value head. Its tiles are computed one after another: every sum has a fixed order.
/// With p = exp(score − log_sum), δ = Σ_e dy·y:  dv += pᵀ dy,  ds = p (dy vᵀ − δ),  dq += ds k · scale,
/// dk += dsᵀ q · scale.
template <class T>
void attention_backward(const attention_arrays<T>& a, const attention_adjoints<T>& d, const attention_segment& s,
                        index_t kv_head) {
  const index_t E = a.layout.head_size, k_width = a.layout.kv_heads * E, keys = attention_keys;
  T p[attention_rows * attention_keys], ds[attention_rows * attention_keys], delta[attention_rows];
  const serial_team<T, native_vec<T>> team;
  std::vector<attention_task> tasks;
  add_attention_tasks(tasks, a.layout, s, 0, kv_head);
  for (const attention_task& task : tasks) {
    const attention_tile<T> tile{a, s, task};
    const index_t rows = task.rows();
    const std::vector<T> q = tile.gather(a.q, a.scale), dy = tile.gather(d.dy);
    std::vector<T> dq(q.size());
    for (index_t r = 0; r < rows; ++r) {
      const row<const T> y{a.y + tile.at(r)}, dresult{dy.data() + r * E};
      delta[r] = team.sum(E, [&](auto e) { return y[e] * dresult[e]; });
    }
    for_each_key_block(a, d, s, kv_head, task.from + task.count, [&](const key_block<T>& block) {
      if (!block.dk && !block.dv && !d.dq) return;
      tile.scores(q.data(), block, p);
      eigen_matmul<T>(rows, block.count, E, {dy.data(), E}, {block.v, k_width, true}, {ds, keys}, false);
      for (index_t r = 0; r < rows; ++r) {
        const T log_sum = a.log_sum[tile.sum_at(r)];
        const row<T> weight{p + r * keys}, dscore{ds + r * keys};
        team.for_each(block.count, [&](auto j) {
          using std::exp;
          const auto w = exp(weight(j) - log_sum);
          weight[j] = w;
          dscore[j] = w * (dscore(j) - delta[r]);
        });
      }
      if (block.dv) eigen_matmul<T>(block.count, E, rows, {p, keys, true}, {dy.data(), E}, {block.dv, k_width}, true);
      if (block.dk) eigen_matmul<T>(block.count, E, rows, {ds, keys, true}, {q.data(), E}, {block.dk, k_width}, true);
      if (d.dq) eigen_matmul<T>(rows, E, block.count, {ds, keys}, {block.k, k_width}, {dq.data(), E}, true);
    });
    for (index_t r = 0; d.dq && r < rows; ++r) {
      const row<T> from{dq.data() + r * E}, to{d.dq + tile.at(r)};
      team.for_each(E, [&](auto e) { to[e] = to(e) + from(e) * a.scale; });
    }
  }
}

}  // namespace iapt
