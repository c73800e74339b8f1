// SPDX-License-Identifier: Apache-2.0
// The team that runs a team kernel on a GPU: a block of threads.
#pragma once
#include <concepts>
#include <cstddef>
#include <cub/block/block_reduce.cuh>

#include "iapt/backend/thrust/fixed_vec.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Shared memory that a team kernel's sums may use, besides what the kernel requests, in bytes.
inline constexpr std::size_t reduction_bytes = 1024;

/// A block of threads. Each thread processes one vec of columns at a time; remaining columns are processed one by one.
/// Sums have a fixed order: each thread's own columns from first to last, then CUB's tree over the threads.
template <class T, int Threads, class Vec>
struct block_team {
  T* scratch = nullptr;  ///< memory of the team, for a kernel that has scratch()

  /// Calls f(j) for every column 0..n-1, in vecs if there are enough for all threads.
  template <class F>
  __device__ __forceinline__ void for_each(index_t n, F f) const {
    index_t rest = 0;
    if (n >= step) {
      for (index_t j = own(); j + Vec::width <= n; j += step) f(vec_index<Vec>{j});
      rest = n - n % Vec::width;
    }
    for (index_t j = rest + threadIdx.x; j < n; j += Threads) f(vec_index<T>{j});
  }
  /// Calls use(read(j)) for every vec of 0..n-1, a multiple of the width; reads `Ahead` vecs before it uses the first.
  template <int Ahead, class Read, class Use>
  __device__ __forceinline__ void for_each_vec(index_t n, Read read, Use use) const {
    index_t j = own();
    for (; j + (Ahead - 1) * step < n; j += Ahead * step) {
      decltype(read(vec_index<Vec>{j})) x[Ahead];
      unrolled<Ahead>([&](int i) { x[i] = read(vec_index<Vec>{j + i * step}); });
      unrolled<Ahead>([&](int i) { use(x[i]); });
    }
    for (; j < n; j += step) use(read(vec_index<Vec>{j}));
  }
  /// Calls f(j) for every column 0..n-1, one by one.
  template <class F>
  __device__ __forceinline__ void for_each_element(index_t n, F f) const {
    for (index_t j = threadIdx.x; j < n; j += Threads) f(vec_index<T>{j});
  }
  /// Σ f(j) over every column.
  template <class F>
  __device__ __forceinline__ T sum(index_t n, F f) const {
    Vec lanes(T(0));
    T last(0);
    for_each(n, [&]<class V>(vec_index<V> j) {
      if constexpr (std::same_as<V, T>)
        last = last + f(j);
      else
        lanes = lanes + f(j);
    });
    return total(lanes.sum() + last);
  }
  /// The greatest f(j) over every column, at least `start`.
  template <class F>
  __device__ __forceinline__ T max(index_t n, T start, F f) const {
    Vec lanes(start);
    for_each(n, [&](auto j) { lanes = maximum(lanes, Vec(f(j))); });
    return reduce(lanes.max(), [](T a, T b) { return a > b ? a : b; });
  }
  /// Sum of `own` over all threads.
  __device__ __forceinline__ T total(T own) const {
    return reduce(own, [](T a, T b) { return a + b; });
  }
  /// Number of threads of the team.
  __device__ __forceinline__ int size() const { return Threads; }
  __device__ __forceinline__ int thread_rank() const { return int(threadIdx.x); }  ///< index of this thread
  /// Replaces own[i] by its sum over `width` neighbouring threads, a power of two up to 32. The whole team calls it.
  template <int N>
  __device__ __forceinline__ void subgroup_sums(T (&own)[N], int width) const {
    for (int apart = width / 2; apart > 0; apart /= 2)  // all N at each distance: one alone would wait
      unrolled<N>([&](int i) { own[i] = own[i] + __shfl_xor_sync(0xffffffffu, own[i], apart); });
  }
  /// Calls f(i, the sum of own[i] over all threads) for every i, each in one thread. The order of a sum does not depend
  /// on N, a power of two.
  template <int N, class F>
  __device__ __forceinline__ void for_each_sum(T (&own)[N], F f) const {
    constexpr int warp = 32, warps = Threads / warp;
    static_assert(N <= warp && (N & (N - 1)) == 0 && Threads % warp == 0);
    __shared__ T found[warps][N];
    // Of two neighbours, each adds the other's half of the sums to its own half: down to one sum.
    int kept = 0;
    unrolled<5>([&](int step) {
      const int apart = warp / 2 >> step, half = N / 2 >> step;
      const bool upper = thread_rank() & apart;
      unrolled<N / 2>([&](int i) {  // `half` is a constant only after inlining
        if (i >= half) return;
        const T low = own[i], high = own[i + half];
        own[i] = (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, apart);
      });
      if (half > 0)
        kept += upper ? half : 0;
      else
        own[0] = own[0] + __shfl_xor_sync(0xffffffffu, own[0], apart);
    });
    if (thread_rank() % (warp / N) == 0) found[thread_rank() / warp][kept] = own[0];
    __syncthreads();
    if (thread_rank() < N) {
      T all = found[0][thread_rank()];
      for (int w = 1; w < warps; ++w) all = all + found[w][thread_rank()];
      f(thread_rank(), all);
    }
    __syncthreads();  // before the memory is used again
  }
  /// Calls f() in one thread, after everything that the team did before, and before everything that follows.
  template <class F>
  __device__ __forceinline__ void single(F f) const {
    __syncthreads();
    if (threadIdx.x == 0) f();
    __syncthreads();
  }
  /// Makes earlier writes of each thread visible to all threads.
  __device__ __forceinline__ void barrier() const { __syncthreads(); }

 private:
  static constexpr index_t step = index_t(Threads) * Vec::width;  // columns that all threads process at once
  __device__ __forceinline__ static index_t own() { return index_t(threadIdx.x) * Vec::width; }
  // Combines the values of all threads; every thread gets the result.
  template <class Combine>
  __device__ __forceinline__ static T reduce(T own, Combine combine) {
    using block = cub::BlockReduce<T, Threads>;
    __shared__ typename block::TempStorage storage;
    __shared__ T all;
    const T first = block(storage).Reduce(own, combine);  // only thread 0 has it
    if (threadIdx.x == 0) all = first;
    __syncthreads();
    const T result = all;
    __syncthreads();  // before the memory is used again
    return result;
  }
};

}  // namespace iapt
