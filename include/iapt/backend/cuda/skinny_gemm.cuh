// SPDX-License-Identifier: Apache-2.0
// Matrix products of few rows (skinny GEMM), as in decode. They are bound by the memory traffic of the weights.
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

/// Team kernel: columns k·outputs, … of c (M, N) = a (M, K) · wᵀ + addend, w (N, K). K is a multiple of the vec's width
/// and all rows are aligned. A row's result does not depend on the number of rows.
template <class T, int Rows>
struct skinny_gemm {
  static constexpr int threads = 128,           ///< threads of a block
      blocks = Rows == 1 ? 8 : 4,               ///< blocks for which a multiprocessor has room
      outputs = 4,                              ///< columns of a block: each element of a is read once for all of them
      prefetch_depth = 2;                       ///< vecs of each row that a thread loads before it uses the first
  static constexpr index_t early = 512;         ///< weights of each column that are prefetched before pdl_wait()
  static constexpr bool calls_pdl_wait = true;  ///< so the launcher leaves the call to this kernel
  using value_type = T;
  using C = compute_type<T>;  ///< type of the sums
  using V = load_vec<T>;      ///< elements that are read at once
  matrix_ref<const T> a,      ///< left operand
      w,                      ///< right operand, as it is stored
      addend;                 ///< added to the product (M, N); may be null
  matrix_ref<T> c;            ///< result
  index_t rows,               ///< M, at most `Rows`
      columns,                ///< N
      inner;                  ///< K
  /// Whether the previous kernel is a skinny GEMM, and none of those that run concurrently writes an operand of this
  /// one. Then this one waits only before it reads the addend and writes.
  bool overlaps_previous;

  /// Loads in flight, as the elements are stored.
  struct loads {
    typename V::template cells<T> a[Rows],  ///< loads of each row of a
        w[outputs];                         ///< loads of each column's weights
  };
  /// Computes columns k·outputs, ….
  template <class Team>
  __device__ __forceinline__ void operator()(Team team, index_t k) const {
    const T *left[Rows], *right[outputs];  // rows and columns out of range are computed and discarded
    unrolled<Rows>([&](int i) { left[i] = a.data + (i < rows ? i : 0) * a.stride; });
    unrolled<outputs>([&](int o) {
      const index_t n = k * outputs + o;
      right[o] = w.data + (n < columns ? n : 0) * w.stride;
    });
    begin(team, k);
    C sum[Rows * outputs] = {};
    const auto read = [&](auto j) {
      loads x;
      unrolled<outputs>([&](int o) { x.w[o] = V::cells_aligned(right[o] + j.at); });
      unrolled<Rows>([&](int i) { x.a[i] = V::cells_aligned(left[i] + j.at); });
      return x;
    };
    const auto use = [&](const loads& x) {
      unrolled<Rows>([&](int i) {
        unrolled<outputs>([&](int o) {
          IAPT_UNROLL
          for (int e = 0; e < V::width; ++e) sum[i * outputs + o] += C(x.a[i].u[e]) * C(x.w[o].u[e]);
        });
      });
    };
    team.template for_each_vec<prefetch_depth>(inner, read, use);
    team.for_each_sum(sum, [&](int r, C all) {
      if (overlaps_previous) pdl_wait();
      const index_t i = r / outputs, n = k * outputs + r % outputs;
      if (i >= rows || n >= columns) return;
      if (addend.data) all += addend.data[i * addend.stride + n];
      c.data[i * c.stride + n] = all;
    });
  }

 private:
  // Waits for the previous kernel, unless this one overlaps it. The first of several overlapping kernels triggers the
  // next one after its own wait, so all of them start when everything enqueued before the first is complete.
  template <class Team>
  __device__ __forceinline__ void begin(Team team, index_t k) const {
    if (overlaps_previous) {
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

/// The run of skinny GEMMs that were enqueued last, none of which reads the result of another: they may overlap.
class independent_gemms {
 public:
  static constexpr std::size_t max_length = 8;  ///< length of a run, which bounds the time of admit()

  /// Whether a product of a (m rows) and w (n rows) may overlap the run. That needs that nothing else was enqueued
  /// since: `enqueued` is the number of operations so far.
  template <class T>
  bool admit(std::uint64_t enqueued, matrix_ref<const T> a, index_t m, matrix_ref<const T> w, index_t n) const {
    return enqueued == enqueued_ && results_.size() < max_length && !written(a, m) && !written(w, n);
  }
  /// Adds a product that writes c (m rows) and was operation number `enqueued`. A new run begins if it does not
  /// overlap.
  template <class T>
  void add(std::uint64_t enqueued, matrix_ref<T> c, index_t m, bool overlaps_previous) {
    if (!overlaps_previous) results_.clear();
    results_.push_back({c.data, c.data + c.stride * m});
    enqueued_ = enqueued;
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
  std::uint64_t enqueued_ = UINT64_MAX;  // no operation has this number
};

}  // namespace iapt
