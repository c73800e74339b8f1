// SPDX-License-Identifier: Apache-2.0
// Products of few rows, as when a sequence is decoded: all of the time goes into reading the weights.
#pragma once
#include "iapt/backend/concept.hpp"
#include "iapt/backend/thrust/bundle.hpp"
#include "iapt/expr/lane.hpp"

namespace iapt {

/// Row kernel: columns k·outputs, … of c (M, N) = or += a (M, K) · wᵀ, w (N, K); K a multiple of a bundle and all rows
/// aligned. A row's result does not depend on how many there are.
template <class T, int Rows>
struct few_rows_product {
  static constexpr int threads = 128,   ///< of a block
      outputs = 4,                      ///< columns that a block computes together, with each number of a read once
      ahead = 2;                        ///< bundles that a thread reads of each row before it uses the first
  static constexpr extent early = 512;  ///< numbers of each column's weights that are asked for before its turn comes
  using value_type = T;                 ///< type of one number
  using C = compute_type<T>;            ///< what it is summed in
  using V = bundle_of<T>;               ///< what is read at once
  matrix_ref<const T> a,                ///< left side
      w;                                ///< right side, as it is stored
  matrix_ref<T> c;                      ///< result
  extent rows,                          ///< M, at most `Rows`
      columns,                          ///< N
      inner;                            ///< K
  bool accumulate;                      ///< whether it is added to what is there

  /// What is on its way from memory, as it is stored.
  struct on_its_way {
    typename V::template cells<T> a[Rows],  ///< of each row of a
        w[outputs];                         ///< of each column's weights
  };
  /// Asks for the beginning of these columns' weights: a hint, for somebody may still be writing them.
  IAPT_DEVICE void fetch([[maybe_unused]] extent k) const {
#if __CUDA_ARCH__ >= 900
    const extent near = early < inner ? early : inner, n = k * outputs + threadIdx.x;
    if (threadIdx.x < outputs && n < columns)
      asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(w.data + n * w.stride),
                   "r"(int(near * sizeof(T))));
#endif
  }
  /// Columns k·outputs, ….
  template <class Group>
  IAPT_DEVICE void operator()(Group group, extent k) const {
    const T *left[Rows], *right[outputs];  // what is not there is computed as well, and thrown away
    for (int i = 0; i < Rows; ++i) left[i] = a.data + (i < rows ? i : 0) * a.stride;
    for (int o = 0; o < outputs; ++o) right[o] = w.data + (k * outputs + o < columns ? k * outputs + o : 0) * w.stride;
    C sum[Rows][outputs] = {};
    const auto read = [&](auto j) {
      on_its_way x;
      for (int o = 0; o < outputs; ++o) x.w[o] = V::cells_aligned(right[o] + j.at);
      for (int i = 0; i < Rows; ++i) x.a[i] = V::cells_aligned(left[i] + j.at);
      return x;
    };
    const auto use = [&](const on_its_way& x) {
      for (int i = 0; i < Rows; ++i)
        for (int o = 0; o < outputs; ++o)
          for (int e = 0; e < V::width; ++e) sum[i][o] += C(x.a[i].u[e]) * C(x.w[o].u[e]);
    };
    group.template each_bundle<ahead>(inner, read, use);
    IAPT_UNROLL
    for (int r = 0; r < Rows * outputs; ++r) {
      const int i = r / outputs, o = r % outputs;
      const C all = group.total(sum[i][o]);
      const extent n = k * outputs + o;
      if (i >= rows || n >= columns) continue;
      T& y = c.data[i * c.stride + n];
      group.once([&] { y = accumulate ? all + y : all; });
    }
  }
};

}  // namespace iapt
