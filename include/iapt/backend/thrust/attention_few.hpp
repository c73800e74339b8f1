// SPDX-License-Identifier: Apache-2.0
// Attention of few queries, as when a sequence is decoded: many groups share a sequence's keys among them, each goes
// through its own once, straight from memory, and what they found is merged.
#pragma once
#include <cmath>
#include <limits>

#include "iapt/backend/thrust/attention.hpp"
#include "iapt/backend/thrust/bundle.hpp"

namespace iapt {

/// Some rows of a sequence and key/value head, and a group's share of their keys.
struct attention_share {
  extent segment,  ///< which sequence
      kv_head,     ///< which key/value head
      from,        ///< first row
      number,      ///< which share
      partial;     ///< where the first row's result goes
};

/// All keys that some rows may see, one behind the other: the past, the soft tokens, the own rows so far.
template <class T>
struct attention_keys_of {
  const attention_arrays<T>& a;  ///< operands
  attention_segment s;           ///< the sequence
  extent width,                  ///< numbers from one row of keys or values to the next
      column,                    ///< where the head begins in a row
      own;                       ///< own rows among them
  /// What these rows see.
  IAPT_DEVICE attention_keys_of(const attention_tiles<T>& tiles, const attention_rows_of& at)
      : a(tiles.a),
        s(at.s),
        width(tiles.key_width()),
        column(at.kv_head * tiles.size()),
        own(at.query(at.count - 1) + 1) {}
  /// How many they are.
  IAPT_DEVICE extent count() const { return s.past_count + s.prefix_count + own; }
  /// Key j.
  IAPT_DEVICE const T* key(extent j) const { return find(j, a.past_k, a.prefix_k, a.k); }
  /// Value j.
  IAPT_DEVICE const T* value(extent j) const { return find(j, a.past_v, a.prefix_v, a.v); }
  /// Query of the sequence from which on key j is seen.
  IAPT_DEVICE extent seen_from(extent j) const {
    if (j < s.past_count) return 0;
    j -= s.past_count;
    return j < s.prefix_count ? s.prefix_from : j - s.prefix_count;
  }

 private:
  IAPT_DEVICE const T* find(extent j, const T* past, const T* soft, const T* own) const {
    if (j < s.past_count) return past + a.past.row(s, j) * width + column;
    j -= s.past_count;
    if (j < s.prefix_count) return soft + (s.prefix_begin + j) * width + column;
    return own + (s.begin + j - s.prefix_count) * width + column;
  }
};

/// Row kernel: what some rows see of their share of the keys, a tile after the other. Its results (E + 2 numbers for
/// each row): Σ weight·v, the greatest score, Σ weight, weight = exp(score − greatest).
/// @par Source Dao et al. 2023, "Flash-Decoding"
template <class T>
struct attention_few {
  static constexpr int rows = 2,  ///< of a group, at most
      shares = 16,                ///< of a sequence's keys, whatever else is decoded beside it
      keys = 128,                 ///< of a tile
      threads = 128,              ///< of a block
      blocks = 4;                 ///< that a multiprocessor has room for
  using value_type = T;           ///< type of one number
  using C = compute_type<T>;      ///< what it computes in
  using V = bundle_of<T>;         ///< neighbours of a head that are read at once
  static constexpr C nothing = -std::numeric_limits<C>::infinity();  ///< the score of what is not seen
  attention_tiles<T> tiles;                                          ///< everything
  const attention_share* which;                                      ///< all shares

  /// Bundles of a head.
  IAPT_DEVICE int pieces() const { return (tiles.size() + V::width - 1) / V::width; }
  /// Members that divide a key's bundles among them.
  IAPT_DEVICE int across() const { return pieces() < 16 ? pieces() : 16; }
  /// Numbers from row to row of queries and results.
  IAPT_DEVICE int stride() const { return pieces() * V::width; }
  /// Scratch memory, in numbers.
  IAPT_DEVICE extent scratch() const { return 2 * rows * stride() + rows * keys + parts(); }

  /// Share k of all.
  template <class Group>
  IAPT_DEVICE void operator()(Group group, extent k) const {
    const attention_share t = which[k];
    const attention_rows_of at = tiles.rows(tiles.segments[t.segment], t.kv_head, t.from, rows);
    const int E = tiles.size(), stride = this->stride(), across = this->across(), pieces = this->pieces();
    C *const q = group.scratch, *const y = q + rows * stride, *const weights = y + rows * stride,
             *const part = weights + rows * keys;
    C top[rows], sum[rows];  // the same for all members
    for (int r = 0; r < rows; ++r) top[r] = nothing, sum[r] = 0;
    group.each_one(at.count * stride, [&](auto n) {
      const int r = int(n.at) / stride, e = int(n.at) % stride;
      q[n.at] = e < E ? tiles.a.q[tiles.place(at, r) * E + e] * tiles.a.scale : C(0);
      y[n.at] = 0;
    });
    const attention_keys_of<T> all(tiles, at);
    const extent share = (std::uint32_t(all.count()) + shares - 1) / shares;
    const extent end = (t.number + 1) * share < all.count() ? (t.number + 1) * share : all.count();
    for (extent begin = t.number * share; begin < end; begin += keys) {
      const int count = end - begin < keys ? int(end - begin) : keys;
      group.barrier();
      group.each_one(across * down, [&](auto n) {  // products, in parts
        const int own = int(n.at) % across, first = int(n.at) / across;
        for (int piece = own; piece < pieces; piece += across) {
          V query[rows];
          each_row(at, [&](int r) { query[r] = V::load(q + r * stride + piece * V::width); });
          const auto keys_at = [&](int j) { return all.key(begin + j); };
          each_key(keys_at, piece, first, count, [&](int j, const V& key) {
            each_row(at, [&](int r) {
              C& s = part[(r * keys + j) * (across + 1) + own];
              const C product = (query[r] * key).sum();
              s = piece == own ? product : s + product;
            });
          });
        }
      });
      group.barrier();
      group.each_one(at.count * count, [&](auto n) {
        const int r = int(n.at) / count, j = int(n.at) % count;
        C score = 0;
        for (int i = 0; i < across; ++i) score += part[(r * keys + j) * (across + 1) + i];
        weights[r * keys + j] = at.query(r) >= all.seen_from(begin + j) ? score : nothing;
      });
      group.barrier();
      C shrink[rows];
      each_row(at, [&](int r) {
        const row<C> w{weights + r * keys};
        const C before = top[r];
        top[r] = group.max(count, before, [&](auto j) { return w(j); });
        const C least = top[r] == nothing ? C(0) : top[r];  // a row may see nothing yet
        shrink[r] = std::exp(before - least);
        sum[r] = sum[r] * shrink[r] + group.sum(count, [&](auto j) {
          using std::exp;
          const auto weight = exp(w(j) - least);
          w[j] = weight;
          return weight;
        });
      });
      group.barrier();
      group.each_one(pieces * down, [&](auto n) {  // values, in parts
        const int piece = int(n.at) % pieces, first = int(n.at) / pieces;
        V total[rows];
        each_row(at, [&](int r) { total[r] = V(C(0)); });
        const auto values_at = [&](int j) { return all.value(begin + j); };
        each_key(values_at, piece, first, count, [&](int j, const V& value) {
          each_row(at, [&](int r) { total[r] = total[r] + value * V(weights[r * keys + j]); });
        });
        each_row(at, [&](int r) { total[r].store(part + (first * rows + r) * stride + piece * V::width); });
      });
      group.barrier();
      each_row(at, [&](int r) {
        group.each_one(stride, [&](auto e) {
          C more = 0;
          for (int i = 0; i < down; ++i) more += part[(i * rows + r) * stride + e.at];
          y[r * stride + e.at] = y[r * stride + e.at] * shrink[r] + more;
        });
      });
    }
    group.barrier();
    each_row(at, [&](int r) {
      C* const found = tiles.partial + (t.partial + r) * (E + 2);
      group.each_one(E, [&](auto e) { found[e.at] = y[r * stride + e.at]; });
      group.once([&] { found[E] = top[r], found[E + 1] = sum[r]; });
    });
  }

 private:
  static constexpr int down = 8;  // members that divide a tile's keys among them
  // Numbers of what is still to be summed: products of queries and keys, or values.
  IAPT_DEVICE int parts() const {
    const int products = rows * keys * (across() + 1), values = down * rows * stride();
    return products > values ? products : values;
  }
  // f(r) for the rows that there are; r is known to the compiler, so that what is kept for each stays in registers.
  template <class F>
  IAPT_DEVICE static void each_row(const attention_rows_of& at, F f) {
    IAPT_UNROLL
    for (int r = 0; r < rows; ++r)
      if (r < at.count) f(r);
  }
  // f(j, x) for j = first, first + down, …: one bundle of each key or value. Several are read before the first is used.
  template <class Where, class F>
  IAPT_DEVICE void each_key(Where where, int piece, int first, int count, F f) const {
    constexpr int ahead = 8;
    for (int j = first; j < count; j += ahead * down) {
      typename V::template cells<T> x[ahead];
      IAPT_UNROLL
      for (int i = 0; i < ahead; ++i)
        if (j + i * down < count) x[i] = read(where(j + i * down), piece * V::width);
      IAPT_UNROLL
      for (int i = 0; i < ahead; ++i)
        if (j + i * down < count) f(j + i * down, V::of_cells(x[i]));
    }
  }
  // Numbers e, e + 1, … of a head, and zeros behind its end.
  IAPT_DEVICE typename V::template cells<T> read(const T* head, int e) const {
    if (e + V::width <= tiles.size()) return V::cells_at(head + e);
    typename V::template cells<T> c;
    for (int i = 0; i < V::width; ++i) c.u[i] = e + i < tiles.size() ? head[e + i] : T(0);
    return c;
  }
};

/// A row whose keys were shared among several groups.
struct attention_split_row {
  extent segment,  ///< which sequence
      kv_head,     ///< which key/value head
      row,         ///< which row of them
      partial,     ///< where the first group's result is
      distance;    ///< from there to the next group's
};

/// Row kernel: y and log_sum of one row from what several groups found for it.
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
  template <class Group>
  IAPT_DEVICE void operator()(Group group, extent k) const {
    const attention_split_row r = rows[k];
    const int E = tiles.size();
    const C* const first = tiles.partial + r.partial * (E + 2);
    const extent step = r.distance * (E + 2);
    C weight[shares], top = -std::numeric_limits<C>::infinity(), total = 0;
    IAPT_UNROLL
    for (int s = 0; s < shares; ++s) weight[s] = first[s * step + E];
    IAPT_UNROLL
    for (int s = 0; s < shares; ++s) top = weight[s] > top ? weight[s] : top;
    IAPT_UNROLL
    for (int s = 0; s < shares; ++s) {
      weight[s] = std::exp(weight[s] - top);
      total += first[s * step + E + 1] * weight[s];
    }
    const extent place = tiles.place(tiles.rows(tiles.segments[r.segment], r.kv_head, r.row, 1), 0);
    group.each_one(E, [&](auto e) {
      C sum = 0;
      IAPT_UNROLL
      for (int s = 0; s < shares; ++s) sum += first[s * step + e.at] * weight[s];
      tiles.a.y[place * E + e.at] = sum / total;
    });
    group.once([&] { tiles.a.log_sum[place] = top + std::log(total); });
  }
};

}  // namespace iapt
