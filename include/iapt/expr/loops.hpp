// SPDX-License-Identifier: Apache-2.0
// The loops of a fused statement, as elementwise kernels, and the sums over rows.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "iapt/expr/lowered.hpp"

namespace iapt {

/// Elementwise kernel: y = e.
template <class E, class T>
struct forward_loop {
  using value_type = T;
  E e;              ///< the lowered expression
  row<T> y;         ///< the result
  index_t columns;  ///< length of a row
  /// Computes column j of row r.
  template <class V>
  IAPT_DEVICE void operator()(index_t r, vec_index<V> j) const {
    typename E::template registers<V> w;
    const vec_index<V> i{r * columns + j.at};
    w.eval(e, i, j);
    y[i] = w.y;
  }
};

/// Elementwise kernel: adjoints of all operands of e, for one vec of columns and one chunk of rows. Sums over rows stay
/// in registers and have a fixed order, and neighbouring threads read neighbouring memory.
template <class E, class T>
struct backward_loop {
  using value_type = T;
  E e;              ///< the lowered expression
  row<const T> dy;  ///< adjoint of the result
  index_t rows;     ///< number of rows
  index_t columns;  ///< length of a row
  index_t chunk;    ///< rows in a chunk
  /// Computes the adjoints for column j of chunk c.
  template <class V>
  IAPT_DEVICE void operator()(index_t c, vec_index<V> j) const {
    typename E::template registers<V> w;
    w.open();
    const index_t end = (c + 1) * chunk < rows ? (c + 1) * chunk : rows;
    for (index_t r = c * chunk; r < end; ++r) {
      const vec_index<V> i{r * columns + j.at};
      w.eval(e, i, j);
      w.pull(e, i, dy[i]);
    }
    w.close(e, c, columns, j);
  }
};

/// y[j] (+)= sum over chunks of partial[chunk, j], in order.
template <class T, class Partial = T>
struct fold_chunks {
  using value_type = T;
  row<const Partial> partial;  ///< one row for each chunk
  row<T> y;                    ///< the sum
  index_t chunks;              ///< number of chunks
  index_t columns;             ///< length of a row
  bool accumulates;            ///< whether the sum is added to what is there
  /// Computes column j.
  template <class V>
  IAPT_DEVICE void operator()(index_t, vec_index<V> j) const {
    V s(0);
    for (index_t c = 0; c < chunks; ++c) s = s + partial[vec_index<V>{c * columns + j.at}];
    y[j] = accumulates ? s + y(j) : s;
  }
};

/// Team kernel: y[k] (+)= sum over j of partial[k, j]; one team computes one k.
template <class T, class Partial = T>
struct fold_columns {
  using value_type = T;
  row<const Partial> partial;  ///< one row for each sum
  T* y;                        ///< the sums
  index_t columns;             ///< length of a row
  bool accumulates;            ///< whether the sums are added to what is there
  /// Computes sum k.
  template <class Team>
  IAPT_DEVICE void operator()(Team team, index_t k) const {
    const compute_type<T> s = team.sum(columns, [&](auto j) {
      j.at += k * columns;
      return partial[j];
    });
    team.single([&] { y[k] = accumulates ? s + y[k] : s; });
  }
};

/// Rows and columns of one statement's backward loop, and its sums over rows, which finish() completes.
template <class T, class Backend>
class row_sums {
 public:
  using partial_type = compute_type<T>;  ///< type of the partial sums
  /// For a loop over `rows` rows of `columns` elements.
  row_sums(Backend& backend, index_t rows, index_t columns) : backend_(backend), rows_(rows), columns_(columns) {}
  row_sums(const row_sums&) = delete;
  row_sums& operator=(const row_sums&) = delete;
  ~row_sums() {
    for (const sum& s : sums_) backend_.deallocate(s.partial, chunks() * s.width(columns_));
    for (const auto& [own, y] : apart_) backend_.deallocate(own, rows_ * columns_);
  }

  /// Number of rows.
  index_t rows() const { return rows_; }
  /// Length of a row.
  index_t columns() const { return columns_; }
  /// Number of chunks of rows.
  index_t chunks() const { return (rows_ + chunk_rows - 1) / chunk_rows; }
  /// Whether there are no sums.
  bool empty() const { return sums_.empty(); }
  /// Memory for the adjoint of an operand of the statement's extents, and whether the loop adds to what is there. An
  /// adjoint that partly overlaps another one gets separate memory, because threads of the loop would race.
  template <class X>
  std::pair<T*, bool> whole_for(const X& x) {
    const auto [y, accumulates] = x.adjoint();
    if (!y) return {nullptr, false};
    const index_t n = rows_ * columns_;
    const auto meets = [&, to = y](const T* other) { return to != other && to < other + n && other < to + n; };
    if (std::none_of(wholes_.begin(), wholes_.end(), meets)) return wholes_.push_back(y), std::pair(y, accumulates);
    apart_.push_back({backend_.template allocate<T>(n), y});
    return {apart_.back().first, false};
  }
  /// Memory for the partial sums of a row-shaped operand, or of a table of `terms` coefficients; null for a constant.
  template <class X>
  row<partial_type> partial_for(const X& x, index_t terms = 0) {
    const auto [y, accumulates] = x.adjoint();
    if (!y) return {nullptr};
    if (!accumulates) backend_.zero(y, x.size());  // the loop may add to it before finish() does
    sum s{nullptr, y, terms};
    s.partial = backend_.template allocate<partial_type>(chunks() * s.width(columns_));
    sums_.push_back(s);
    return {s.partial};
  }
  /// Adds the separate adjoints, and folds the partial sums into their adjoints, chunk by chunk in order.
  void finish() {
    for (const auto& [own, y] : apart_)
      backend_.for_each(1, rows_ * columns_, fold_chunks<T>{{own}, {y}, 1, rows_ * columns_, true});
    for (const sum& s : sums_) {
      const index_t width = s.width(columns_);
      if (!s.terms) {
        backend_.for_each(1, width, fold_chunks<T, partial_type>{{s.partial}, {s.y}, chunks(), width, true});
        continue;
      }
      partial_type* const folded = backend_.template allocate<partial_type>(width);
      backend_.for_each(1, width, fold_chunks<partial_type>{{s.partial}, {folded}, chunks(), width, false});
      backend_.for_each_team(s.terms, columns_, fold_columns<T, partial_type>{{folded}, s.y, columns_, true});
      backend_.deallocate(folded, width);
    }
  }

 private:
  struct sum {
    partial_type* partial;
    T* y;
    index_t terms;  // number of coefficients of a table; 0 for a row
    index_t width(index_t columns) const { return std::max<index_t>(terms, 1) * columns; }
  };
  Backend& backend_;
  index_t rows_, columns_;
  std::vector<sum> sums_;
  std::vector<T*> wholes_;                // adjoints that the loop itself writes
  std::vector<std::pair<T*, T*>> apart_;  // separate memory, and the adjoint that it is added to
};

}  // namespace iapt
