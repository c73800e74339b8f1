// SPDX-License-Identifier: Apache-2.0
// Attention of few queries, as when a sequence is decoded: many groups share a sequence's keys among them, each goes
// through its own once, straight from memory, and what they found is merged.
#pragma once
#include <cmath>

#include "iapt/backend/thrust/attention.hpp"
#include "iapt/backend/thrust/fixed_vec.hpp"

namespace iapt {

/// Some rows of a sequence and key/value head, and a team's share of their keys.
struct attention_share {
  index_t segment,  ///< which sequence
      kv_head,      ///< which key/value head
      from,         ///< first row
      number,       ///< which share
      partial;      ///< where the first row's result goes
};

/// All keys that some rows may see, one behind the other: the past, the soft tokens, the own rows so far.
template <class T>
struct attention_keys_of {
  const attention_arrays<T>& a;  ///< operands
  attention_segment s;           ///< the sequence
  index_t width,                 ///< numbers from one row of keys or values to the next
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
  IAPT_DEVICE index_t count() const { return s.past_count + s.prefix_count + own; }
  /// A key and its value.
  struct pair {
    const T *key,  ///< of the head
        *value;    ///< beside it
  };
  /// Number j of them.
  IAPT_DEVICE pair at(index_t j) const {
    if (j < s.past_count) return of(a.past_k, a.past_v, a.past.row(s, j));
    j -= s.past_count;
    if (j < s.prefix_count) return of(a.prefix_k, a.prefix_v, s.prefix_begin + j);
    return of(a.k, a.v, s.begin + j - s.prefix_count);
  }
  /// Query of the sequence from which on key j is seen.
  IAPT_DEVICE index_t seen_from(index_t j) const {
    if (j < s.past_count) return 0;
    j -= s.past_count;
    return j < s.prefix_count ? s.prefix_from : j - s.prefix_count;
  }

 private:
  IAPT_DEVICE pair of(const T* k, const T* v, index_t row) const {
    return {k + row * width + column, v + row * width + column};
  }
};

/// Team kernel: what some rows see of their share of the keys. The team's members work in strands of neighbours, one
/// or a few vecs of a head for each: a strand goes through keys of its own, some at a time, and what the strands
/// found is merged in the end. Its results (E + 2 numbers for each row): Σ weight·v, the greatest score, Σ weight,
/// weight = exp(score − greatest).
/// @par Source Dao et al. 2023, "Flash-Decoding"
template <class T>
struct attention_few {
  static constexpr int rows = 2,                 ///< of a team, at most
      shares = 16,                               ///< of a sequence's keys, whatever else is decoded beside it
      ahead = 5,                                 ///< keys that a strand reads before it uses the first
      threads = 128,                             ///< of a block
      blocks = 5,                                ///< that a multiprocessor has room for
      widest = 32;                               ///< members of a strand, at most
  using value_type = T;                          ///< type of one number
  using C = compute_type<T>;                     ///< what it computes in
  using V = load_vec<T>;                         ///< neighbours of a head that are read at once
  using stored = typename V::template cells<T>;  ///< the same as it is stored
  attention_tiles<T> tiles;                      ///< everything
  const attention_share* which;                  ///< all shares

  /// Scratch memory, in numbers.
  IAPT_DEVICE index_t scratch() const {
    const int strands = threads / width(threads);
    return strands * rows * (stride() + 2);
  }

  /// Asks for share k's keys and values, before the latest of them are there.
  template <class Team>
  IAPT_DEVICE void fetch(Team team, index_t k) const {
    const attention_share& t = which[k];
    if (!is_whole() || t.from > 0) return;  // other rows of the sequence see the same ones
    const attention_keys_of<T> all(tiles, rows_of(t));
    const range share = share_of(all, t, team.size() / width(team.size()));
    team.for_each_element(share.end - share.begin, [&](auto j) {
      const auto place = all.at(share.begin + j.at);
      prefetch(place.key, tiles.size()), prefetch(place.value, tiles.size());
    });
  }
  /// Share k of all.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const attention_share& t = which[k];
    const int strands = team.size() / width(team.size());
    const range share = share_of(attention_keys_of<T>(tiles, rows_of(t)), t, strands);
    if (share.empty())
      see_nothing(team, t);  // all shares of few keys but the first
    else if (is_whole() && pieces() <= width(team.size()))
      see<true>(team, t, share);
    else
      see<false>(team, t, share);
  }

 private:
  // Numbers of the keys of a share.
  struct range {
    int begin, end;
    IAPT_DEVICE bool empty() const { return begin >= end; }
  };
  // Whole: a thread's piece of a head is one vec, which lies where a GPU can read it at once.
  template <bool Whole, class Team>
  IAPT_DEVICE void see(Team team, const attention_share& t, range share) const {
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
    const int strands = team.size() / width, strand = team.thread_rank() / width, own = team.thread_rank() % width;
    C *const y = team.scratch, *const tops = y + strands * rows * stride, *const sums = tops + strands * rows;
    const auto found_at = [&](int r, int piece) { return y + (strand * rows + r) * stride + piece * V::width; };
    const auto each_own_piece = [&](auto f) {
      if constexpr (Whole) {
        if (own < pieces) f(own);
      } else {
        for (int piece = own; piece < pieces; piece += width) f(piece);
      }
    };
    if (!Whole) each_own_piece([&](int piece) { each_row(at, [&](int r) { V(0).store(found_at(r, piece)); }); });
    C top[rows], sum[rows];  // the same for all of a strand
    V found[rows];           // of the one piece, if it is whole
    for (int r = 0; r < rows; ++r) top[r] = lowest<C>, sum[r] = 0, found[r] = V(0);
    for (int from = share.begin; from < share.end; from += ahead * strands) {
      const auto number = [&](int i) { return from + strand + i * strands; };
      typename attention_keys_of<T>::pair place[ahead];
      stored key[ahead], value[ahead];
      unrolled<ahead>([&](int i) { place[i] = all.at(number(i) < share.end ? number(i) : share.end - 1); });
      if constexpr (Whole) {  // all at once
        const int e = (own < pieces ? own : 0) * V::width;
        unrolled<ahead>([&](int i) { key[i] = read(place[i].key, e); });
        unrolled<ahead>([&](int i) { value[i] = read(place[i].value, e); });
      }
      C score[rows][ahead] = {}, shrink[rows];
      each_own_piece([&](int piece) {
        if (!Whole) unrolled<ahead>([&](int i) { key[i] = read(place[i].key, piece * V::width); });
        each_row(at, [&](int r) {  // queries are read each time: registers are the keys'
          const V query = V::of_cells(read(tiles.a.q + tiles.place(at, r) * E, piece * V::width)) * V(tiles.a.scale);
          unrolled<ahead>([&](int i) { score[r][i] += (query * V::of_cells(key[i])).sum(); });
        });
      });
      each_row(at, [&](int r) {
        const index_t query = at.query(r);
        const C before = top[r];
        team.subgroup_sums(score[r], width);
        unrolled<ahead>([&](int i) {
          if (number(i) >= share.end || query < all.seen_from(number(i))) score[r][i] = lowest<C>;
          top[r] = score[r][i] > top[r] ? score[r][i] : top[r];
        });
        const C least = top[r] == lowest<C> ? C(0) : top[r];  // a row may see nothing yet
        shrink[r] = std::exp(before - least);
        sum[r] = sum[r] * shrink[r];
        unrolled<ahead>([&](int i) { sum[r] += score[r][i] = std::exp(score[r][i] - least); });
      });
      each_own_piece([&](int piece) {
        if (!Whole) unrolled<ahead>([&](int i) { value[i] = read(place[i].value, piece * V::width); });
        each_row(at, [&](int r) {
          V total = (Whole ? found[r] : V::load(found_at(r, piece))) * V(shrink[r]);
          unrolled<ahead>([&](int i) { total = total + V::of_cells(value[i]) * V(score[r][i]); });
          if constexpr (Whole)
            found[r] = total;
          else
            total.store(found_at(r, piece));
        });
      });
    }
    if (Whole) each_own_piece([&](int piece) { each_row(at, [&](int r) { found[r].store(found_at(r, piece)); }); });
    if (own == 0) each_row(at, [&](int r) { tops[strand * rows + r] = top[r], sums[strand * rows + r] = sum[r]; });
    team.barrier();
    each_row(at, [&](int r) {
      C greatest = lowest<C>;
      for (int s = r; s < strands * rows; s += rows) greatest = tops[s] > greatest ? tops[s] : greatest;
      const C least = greatest == lowest<C> ? C(0) : greatest;
      const auto merged = [&](const C* x, int step) {
        C total = 0;
        for (int s = r; s < strands * rows; s += rows) total += x[s * step] * std::exp(tops[s] - least);
        return total;
      };
      C* const result = tiles.partial + (t.partial + r) * (E + 2);
      team.for_each_element(E, [&](auto e) { result[e.at] = merged(y + e.at, stride); });
      if (team.thread_rank() == 0) result[E] = greatest, result[E + 1] = merged(sums, 1);
    });
  }

  template <class Team>
  IAPT_DEVICE void see_nothing(Team team, const attention_share& t) const {
    const int each = tiles.size() + 2;
    C* const results = tiles.partial + t.partial * each;
    team.for_each_element(rows_of(t).count * each,
                          [&](auto n) { results[n.at] = int(n.at) % each == each - 2 ? lowest<C> : C(0); });
  }

  IAPT_DEVICE attention_rows_of rows_of(const attention_share& t) const {
    return tiles.rows(tiles.segments[t.segment], t.kv_head, t.from, rows);
  }
  // No fewer than there are strands, so that few keys are few groups' work.
  IAPT_DEVICE static range share_of(const attention_keys_of<T>& all, const attention_share& t, int strands) {
    const int count = int(all.count()), even = int((std::uint32_t(count) + shares - 1) / shares);
    const int share = even > strands ? even : strands, begin = int(t.number) * share;
    return {begin, begin + share < count ? begin + share : count};
  }
  IAPT_DEVICE bool is_whole() const {
    return tiles.size() % V::width == 0 && V::aligned(tiles.a.q) && V::aligned(tiles.a.past_k) &&
           V::aligned(tiles.a.past_v) && V::aligned(tiles.a.prefix_k) && V::aligned(tiles.a.prefix_v) &&
           V::aligned(tiles.a.k) && V::aligned(tiles.a.v);
  }
  // Bundles of a head.
  IAPT_DEVICE int pieces() const { return (tiles.size() + V::width - 1) / V::width; }
  // Numbers from row to row of results.
  IAPT_DEVICE int stride() const { return pieces() * V::width; }
  // Members of a strand: a power of two, so that they can add up what they have.
  IAPT_DEVICE int width(int members) const {
    int n = 1;
    while (n < pieces() && n < widest && n < members) n *= 2;
    return n;
  }
  // f(r) for the rows that there are.
  template <class F>
  IAPT_DEVICE static void each_row(const attention_rows_of& at, F f) {
    unrolled<rows>([&](int r) {
      if (r < at.count) f(r);
    });
  }
};

}  // namespace iapt
