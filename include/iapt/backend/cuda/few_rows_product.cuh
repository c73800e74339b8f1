// SPDX-License-Identifier: Apache-2.0
// Products of few rows, as when a sequence is decoded: all of the time goes into reading the weights.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/cuda/pdl.cuh"
#include "iapt/backend/thrust/fixed_vec.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Team kernel: columns k·outputs, … of c (M, N) = a (M, K) · wᵀ, w (N, K), and what it is added to; K a multiple of a
/// vec and all rows aligned. A row's result does not depend on how many there are.
template <class T, int Rows>
struct few_rows_product {
  static constexpr int threads = 128,    ///< of a block
      blocks = Rows == 1 ? 8 : 4,        ///< that a multiprocessor has room for
      outputs = 4,                       ///< columns that a block computes together, with each number of a read once
      ahead = 2;                         ///< vecs that a thread reads of each row before it uses the first
  static constexpr index_t early = 512;  ///< numbers of each column's weights that are asked for before its turn
  static constexpr bool calls_pdl_wait = true;  ///< waits for the kernel ahead itself
  using value_type = T;                         ///< type of one number
  using C = compute_type<T>;                    ///< what it is summed in
  using V = load_vec<T>;                        ///< what is read at once
  matrix_ref<const T> a,                        ///< left side
      w,                                        ///< right side, as it is stored
      addend;                                   ///< what the product is added to (M, N), or nothing
  matrix_ref<T> c;                              ///< result
  index_t rows,                                 ///< M, at most `Rows`
      columns,                                  ///< N
      inner;                                    ///< K
  bool beside;  ///< whether the kernel ahead is another of these, and none of those that
                ///< stand beside it writes what this one multiplies: it waits before it
                ///< reads the addend and writes

  /// What is on its way from memory, as it is stored.
  struct on_its_way {
    typename V::template cells<T> a[Rows],  ///< of each row of a
        w[outputs];                         ///< of each column's weights
  };
  /// Columns k·outputs, ….
  template <class Team>
  __device__ __forceinline__ void operator()(Team team, index_t k) const {
    const T *left[Rows], *right[outputs];  // what is not there is computed as well, and thrown away
    unrolled<Rows>([&](int i) { left[i] = a.data + (i < rows ? i : 0) * a.stride; });
    unrolled<outputs>([&](int o) {
      const index_t n = k * outputs + o;
      right[o] = w.data + (n < columns ? n : 0) * w.stride;
    });
    begin(team, k);
    C sum[Rows * outputs] = {};
    const auto read = [&](auto j) {
      on_its_way x;
      unrolled<outputs>([&](int o) { x.w[o] = V::cells_aligned(right[o] + j.at); });
      unrolled<Rows>([&](int i) { x.a[i] = V::cells_aligned(left[i] + j.at); });
      return x;
    };
    const auto use = [&](const on_its_way& x) {
      unrolled<Rows>([&](int i) {
        unrolled<outputs>([&](int o) {
          IAPT_UNROLL
          for (int e = 0; e < V::width; ++e) sum[i * outputs + o] += C(x.a[i].u[e]) * C(x.w[o].u[e]);
        });
      });
    };
    team.template for_each_vec<ahead>(inner, read, use);
    team.for_each_sum(sum, [&](int r, C all) {
      if (beside) pdl_wait();
      const index_t i = r / outputs, n = k * outputs + r % outputs;
      if (i >= rows || n >= columns) return;
      if (addend.data) all += addend.data[i * addend.stride + n];
      c.data[i * c.stride + n] = all;
    });
  }

 private:
  // Waits, unless it stands beside the kernel ahead. The first of those that stand so lets the next come when its own
  // wait is over, and each of the others begins after that: what was queued before all of them is there.
  template <class Team>
  __device__ __forceinline__ void begin(Team team, index_t k) const {
    if (beside) {
      device_fence();
    } else {
      team.for_each_element(outputs, [&](auto o) {
        const index_t n = k * outputs + o.at;
        if (n < columns) prefetch(w.data + n * w.stride, early < inner ? early : inner);
      });
      pdl_wait();
    }
    pdl_trigger();
  }
};

/// The products of few rows that were queued last, one behind the other, none of which multiplies what one ahead of it
/// writes.
class products_side_by_side {
 public:
  static constexpr std::size_t most = 8;  ///< of them, so that a look at them is soon done

  /// Whether a product of a (m rows) and w (n rows) may stand beside them, if nothing has been queued since: `queued`
  /// operations in all.
  template <class T>
  bool admit(std::uint64_t queued, matrix_ref<const T> a, index_t m, matrix_ref<const T> w, index_t n) const {
    return queued == queued_ && results_.size() < most && !written(a, m) && !written(w, n);
  }
  /// One more, which writes c (m rows) and was the last of `queued` operations.
  template <class T>
  void add(std::uint64_t queued, matrix_ref<T> c, index_t m, bool beside) {
    if (!beside) results_.clear();
    results_.push_back({c.data, c.data + c.stride * m});
    queued_ = queued;
  }

 private:
  template <class T>
  bool written(matrix_ref<const T> x, index_t rows) const {
    const void *const first = x.data, *const last = x.data + x.stride * rows;
    return std::any_of(results_.begin(), results_.end(), [&](const auto& result) {
      return std::less<>()(first, result.second) && std::less<>()(result.first, last);
    });
  }
  std::vector<std::pair<const void*, const void*>> results_;
  std::uint64_t queued_ = UINT64_MAX;  // never, until one is added
};

}  // namespace iapt
