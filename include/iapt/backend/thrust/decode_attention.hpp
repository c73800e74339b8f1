// SPDX-License-Identifier: Apache-2.0
// Attention of few queries, as in decode (split-KV): each of several teams reads one part of a sequence's keys and
// values once, directly from memory; decode_merge combines their partial results.
#pragma once
#include <cmath>

#include "iapt/backend/thrust/attention.hpp"
#include "iapt/backend/thrust/fixed_vec.hpp"

namespace iapt {

/// One team's work: some rows of a sequence and key/value head, and one split of their keys.
struct attention_kv_split {
  index_t segment,  ///< which sequence
      kv_head,      ///< which key/value head
      from,         ///< first row
      number,       ///< index of the split
      partial;      ///< index of the first row's partial result
};

/// All keys that some rows attend to, in one order: the past, the soft tokens, the own rows up to the last query.
template <class T>
struct attention_keys_of {
  const attention_arrays<T>& a;  ///< operands
  attention_segment s;           ///< the sequence
  index_t width,                 ///< elements from one row of keys or values to the next
      column,                    ///< where the head begins in a row
      own;                       ///< number of own rows among the keys
  /// The keys of some rows.
  IAPT_DEVICE attention_keys_of(const attention_tiles<T>& tiles, const attention_rows_of& at)
      : a(tiles.a),
        s(at.s),
        width(tiles.key_width()),
        column(at.kv_head * tiles.size()),
        own(visibility::keys(s, key_kind::own, at.query(at.count - 1))) {}
  /// Number of keys.
  IAPT_DEVICE index_t count() const { return s.past_count + s.soft_count + own; }
  /// A key and its value.
  struct pair {
    const T *key,  ///< the key of the head
        *value;    ///< the value of the head
  };
  /// Key j and its value.
  IAPT_DEVICE pair at(index_t j) const {
    if (j < s.past_count) return of(a.past_k, a.past_v, a.past.row(s, j));
    j -= s.past_count;
    if (j < s.soft_count) return of(a.soft_k, a.soft_v, s.soft_begin + j);
    return of(a.k, a.v, s.begin + j - s.soft_count);
  }
  /// Whether a query attends to key j.
  IAPT_DEVICE bool sees(index_t query, index_t j) const {
    if (j < s.past_count) return visibility(s, key_kind::past).sees(query, j);
    j -= s.past_count;
    if (j < s.soft_count) return visibility(s, key_kind::soft).sees(query, j);
    return visibility(s, key_kind::own).sees(query, j - s.soft_count);
  }

 private:
  IAPT_DEVICE pair of(const T* k, const T* v, index_t row) const {
    return {k + row * width + column, v + row * width + column};
  }
};

/// Team kernel: attention of some rows to one split of their keys. The team is divided into subgroups of neighbouring
/// threads. A thread holds one or a few vecs of a head; a subgroup reads its own keys, `prefetch_depth` at a time; the
/// results of the subgroups are merged at the end. The result has E + 2 elements for each row: Σ weight·v, the greatest
/// score, Σ weight, with weight = exp(score − greatest).
/// @par Source Dao et al. 2023, "Flash-Decoding"
template <class T>
struct decode_attention {
  static constexpr int rows = 2,  ///< rows of a team, at most
      kv_splits = 16,             ///< splits of a sequence's keys; independent of the batch, as results must be
      prefetch_depth = 5,         ///< keys that a subgroup loads before it uses the first
      threads = 128,              ///< threads of a block
      blocks = 5,                 ///< blocks for which a multiprocessor has room
      max_width = 32;             ///< threads of a subgroup, at most
  using value_type = T;
  using C = compute_type<T>;                     ///< type of the computation
  using V = load_vec<T>;                         ///< elements of a head that are loaded at once
  using stored = typename V::template cells<T>;  ///< these elements as they are stored
  attention_tiles<T> tiles;                      ///< arguments of all tiles
  const attention_kv_split* which;               ///< all splits

  /// Scratch memory, in elements.
  IAPT_DEVICE index_t scratch() const {
    const int subgroups = threads / width(threads);
    return subgroups * rows * (stride() + 2);
  }

  /// Prefetches the keys and values of split k; the previous kernel may still write the last of them.
  template <class Team>
  IAPT_DEVICE void fetch(Team team, index_t k) const {
    const attention_kv_split& t = which[k];
    if (!is_whole() || t.from > 0) return;  // the first rows of the sequence prefetch for all
    const attention_keys_of<T> all(tiles, rows_of(t));
    const range split = range_of(all, t, team.size() / width(team.size()));
    team.for_each_element(split.end - split.begin, [&](auto j) {
      const auto place = all.at(split.begin + j.at);
      prefetch(place.key, tiles.size()), prefetch(place.value, tiles.size());
    });
  }
  /// Computes split k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const attention_kv_split& t = which[k];
    const int subgroups = team.size() / width(team.size());
    const range split = range_of(attention_keys_of<T>(tiles, rows_of(t)), t, subgroups);
    if (split.empty())
      write_empty(team, t);  // few keys: other splits have all of them
    else if (is_whole() && pieces() <= width(team.size()))
      attend<true>(team, t, split);
    else
      attend<false>(team, t, split);
  }

 private:
  // Indices of the keys of a split.
  struct range {
    int begin, end;
    IAPT_DEVICE bool empty() const { return begin >= end; }
  };
  // Whole: a thread holds one aligned vec of the head; otherwise partial results are in scratch memory.
  template <bool Whole, class Team>
  IAPT_DEVICE void attend(Team team, const attention_kv_split& t, range split) const {
    const auto read = [&](const T* head, int e) -> stored {
      if constexpr (Whole) {
        return V::cells_aligned(head + e);
      } else {
        stored c;
        for (int i = 0; i < V::width; ++i) c.u[i] = e + i < tiles.size() ? head[e + i] : T(0);
        return c;
      }
    };
    const attention_rows_of at = rows_of(t);
    const attention_keys_of<T> all(tiles, at);
    const int E = tiles.size(), stride = this->stride(), pieces = this->pieces(), width = this->width(team.size());
    const int subgroups = team.size() / width, subgroup = team.thread_rank() / width, own = team.thread_rank() % width;
    C *const y = team.scratch, *const tops = y + subgroups * rows * stride, *const sums = tops + subgroups * rows;
    const auto found_at = [&](int r, int piece) { return y + (subgroup * rows + r) * stride + piece * V::width; };
    const auto for_each_own_piece = [&](auto f) {
      if constexpr (Whole) {
        if (own < pieces) f(own);
      } else {
        for (int piece = own; piece < pieces; piece += width) f(piece);
      }
    };
    if (!Whole)
      for_each_own_piece([&](int piece) { for_each_row(at, [&](int r) { V(0).store(found_at(r, piece)); }); });
    C top[rows], sum[rows];  // the same for all of a subgroup
    V found[rows];           // the thread's piece, if Whole
    for (int r = 0; r < rows; ++r) top[r] = lowest<C>, sum[r] = 0, found[r] = V(0);
    for (int from = split.begin; from < split.end; from += prefetch_depth * subgroups) {
      const auto number = [&](int i) { return from + subgroup + i * subgroups; };
      typename attention_keys_of<T>::pair place[prefetch_depth];
      stored key[prefetch_depth], value[prefetch_depth];
      unrolled<prefetch_depth>([&](int i) { place[i] = all.at(number(i) < split.end ? number(i) : split.end - 1); });
      if constexpr (Whole) {  // all loads at once
        const int e = (own < pieces ? own : 0) * V::width;
        unrolled<prefetch_depth>([&](int i) { key[i] = read(place[i].key, e); });
        unrolled<prefetch_depth>([&](int i) { value[i] = read(place[i].value, e); });
      }
      C score[rows][prefetch_depth] = {}, shrink[rows];
      for_each_own_piece([&](int piece) {
        if (!Whole) unrolled<prefetch_depth>([&](int i) { key[i] = read(place[i].key, piece * V::width); });
        for_each_row(at, [&](int r) {  // queries are loaded again: the registers hold keys
          const V query = V::of_cells(read(tiles.a.q + tiles.place(at, r) * E, piece * V::width)) * V(tiles.a.scale);
          unrolled<prefetch_depth>([&](int i) { score[r][i] += (query * V::of_cells(key[i])).sum(); });
        });
      });
      for_each_row(at, [&](int r) {
        const index_t query = at.query(r);
        const C before = top[r];
        team.subgroup_sums(score[r], width);
        unrolled<prefetch_depth>([&](int i) {
          if (number(i) >= split.end || !all.sees(query, number(i))) score[r][i] = lowest<C>;
          top[r] = score[r][i] > top[r] ? score[r][i] : top[r];
        });
        const C least = top[r] == lowest<C> ? C(0) : top[r];  // no key is visible to this row so far
        shrink[r] = std::exp(before - least);
        sum[r] = sum[r] * shrink[r];
        unrolled<prefetch_depth>([&](int i) { sum[r] += score[r][i] = std::exp(score[r][i] - least); });
      });
      for_each_own_piece([&](int piece) {
        if (!Whole) unrolled<prefetch_depth>([&](int i) { value[i] = read(place[i].value, piece * V::width); });
        for_each_row(at, [&](int r) {
          V total = (Whole ? found[r] : V::load(found_at(r, piece))) * V(shrink[r]);
          unrolled<prefetch_depth>([&](int i) { total = total + V::of_cells(value[i]) * V(score[r][i]); });
          if constexpr (Whole)
            found[r] = total;
          else
            total.store(found_at(r, piece));
        });
      });
    }
    if (Whole)
      for_each_own_piece([&](int piece) { for_each_row(at, [&](int r) { found[r].store(found_at(r, piece)); }); });
    if (own == 0)
      for_each_row(at, [&](int r) { tops[subgroup * rows + r] = top[r], sums[subgroup * rows + r] = sum[r]; });
    team.barrier();
    for_each_row(at, [&](int r) {
      C greatest = lowest<C>;
      for (int s = r; s < subgroups * rows; s += rows) greatest = tops[s] > greatest ? tops[s] : greatest;
      const C least = greatest == lowest<C> ? C(0) : greatest;
      const auto merged = [&](const C* x, int step) {
        C total = 0;
        for (int s = r; s < subgroups * rows; s += rows) total += x[s * step] * std::exp(tops[s] - least);
        return total;
      };
      C* const result = tiles.partial + (t.partial + r) * (E + 2);
      team.for_each_element(E, [&](auto e) { result[e.at] = merged(y + e.at, stride); });
      if (team.thread_rank() == 0) result[E] = greatest, result[E + 1] = merged(sums, 1);
    });
  }

  template <class Team>
  IAPT_DEVICE void write_empty(Team team, const attention_kv_split& t) const {
    const int each = tiles.size() + 2;
    C* const results = tiles.partial + t.partial * each;
    team.for_each_element(rows_of(t).count * each,
                          [&](auto n) { results[n.at] = int(n.at) % each == each - 2 ? lowest<C> : C(0); });
  }

  IAPT_DEVICE attention_rows_of rows_of(const attention_kv_split& t) const {
    return tiles.rows(tiles.segments[t.segment], t.kv_head, t.from, rows);
  }
  // At least one key for each subgroup, so that few keys need few teams.
  IAPT_DEVICE static range range_of(const attention_keys_of<T>& all, const attention_kv_split& t, int subgroups) {
    const int count = int(all.count()), even = int((std::uint32_t(count) + kv_splits - 1) / kv_splits);
    const int split = even > subgroups ? even : subgroups, begin = int(t.number) * split;
    return {begin, begin + split < count ? begin + split : count};
  }
  IAPT_DEVICE bool is_whole() const {
    return tiles.size() % V::width == 0 && V::aligned(tiles.a.q) && V::aligned(tiles.a.past_k) &&
           V::aligned(tiles.a.past_v) && V::aligned(tiles.a.soft_k) && V::aligned(tiles.a.soft_v) &&
           V::aligned(tiles.a.k) && V::aligned(tiles.a.v);
  }
  // Number of vecs of a head.
  IAPT_DEVICE int pieces() const { return (tiles.size() + V::width - 1) / V::width; }
  // Distance between rows of scratch memory.
  IAPT_DEVICE int stride() const { return pieces() * V::width; }
  // Threads of a subgroup: a power of two, as subgroup_sums() needs.
  IAPT_DEVICE int width(int threads) const {
    int n = 1;
    while (n < pieces() && n < max_width && n < threads) n *= 2;
    return n;
  }
  // Calls f(r) for each row of the team.
  template <class F>
  IAPT_DEVICE static void for_each_row(const attention_rows_of& at, F f) {
    unrolled<rows>([&](int r) {
      if (r < at.count) f(r);
    });
  }
};

}  // namespace iapt
