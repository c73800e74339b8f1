// SPDX-License-Identifier: Apache-2.0
// The team that runs a team kernel on a GPU: a block of threads.
#pragma once
#include <concepts>
#include <cstddef>
#include <cub/block/block_reduce.cuh>

#include "iapt/backend/thrust/fixed_vec.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Shared memory that a team kernel's sums may take beside what it asks for, in bytes.
inline constexpr std::size_t reduction_bytes = 1024;

/// A block of threads that go through the columns side by side, a vec each; what is left of them, one by one. Its
/// sums have a fixed order: each thread's own columns from first to last, then CUB's tree over the threads.
template <class T, int Threads, class Vec>
struct block_team {
  T* scratch = nullptr;  ///< memory of the team's own, for a kernel that asks for it (scratch())

  /// Calls f(j) for every column 0..n-1: vecs, if there are enough of them for all threads.
  template <class F>
  __device__ __forceinline__ void for_each(index_t n, F f) const {
    index_t rest = 0;
    if (n >= step) {
      for (index_t j = own(); j + Vec::width <= n; j += step) f(vec_index<Vec>{j});
      rest = n - n % Vec::width;
    }
    for (index_t j = rest + threadIdx.x; j < n; j += Threads) f(vec_index<T>{j});
  }
  /// Calls use(read(j)) for every vec of 0..n-1, which are whole ones; `Ahead` are read before the first is used.
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
  /// The greatest f(j) over every column, or `start`.
  template <class F>
  __device__ __forceinline__ T max(index_t n, T start, F f) const {
    Vec lanes(start);
    for_each(n, [&](auto j) { lanes = maximum(lanes, Vec(f(j))); });
    return reduce(lanes.max(), [](T a, T b) { return a > b ? a : b; });
  }
  /// Σ of what each thread has of its own.
  __device__ __forceinline__ T total(T own) const {
    return reduce(own, [](T a, T b) { return a + b; });
  }
  /// Number of threads of the team, and which of them this is.
  __device__ __forceinline__ int size() const { return Threads; }
  __device__ __forceinline__ int thread_rank() const { return int(threadIdx.x); }  ///< from 0 on
  /// own[i] = Σ of what each of `width` neighbours has there, a power of two up to 32; called by the whole team.
  template <int N>
  __device__ __forceinline__ void subgroup_sums(T (&own)[N], int width) const {
    for (int apart = width / 2; apart > 0; apart /= 2)  // all N at each distance, for one alone would wait for itself
      unrolled<N>([&](int i) { own[i] = own[i] + __shfl_xor_sync(0xffffffffu, own[i], apart); });
  }
  /// Calls f(i, Σ of what each thread has in own[i]) for every i, a thread for each. The order of a sum does not depend
  /// on N, a power of two.
  template <int N, class F>
  __device__ __forceinline__ void for_each_sum(T (&own)[N], F f) const {
    constexpr int warp = 32, warps = Threads / warp;
    static_assert(N <= warp && (N & (N - 1)) == 0 && Threads % warp == 0);
    __shared__ T found[warps][N];
    // Of two neighbours each gives the other half of what it has, and keeps the sums of its own half: down to one.
    int kept = 0;
    unrolled<5>([&](int step) {
      const int apart = warp / 2 >> step, half = N / 2 >> step;
      const bool upper = thread_rank() & apart;
      unrolled<N / 2>([&](int i) {  // not up to `half`, which is not known before this is inlined
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
    __syncthreads();  // the memory is free for the next one
  }
  /// Calls f() in one thread: after all that the team did before, and before all that follows.
  template <class F>
  __device__ __forceinline__ void single(F f) const {
    __syncthreads();
    if (threadIdx.x == 0) f();
    __syncthreads();
  }
  /// What a thread wrote before is seen by all threads after.
  __device__ __forceinline__ void barrier() const { __syncthreads(); }

 private:
  static constexpr index_t step = index_t(Threads) * Vec::width;  // columns of a vec for each thread
  __device__ __forceinline__ static index_t own() { return index_t(threadIdx.x) * Vec::width; }
  // One value of all threads, known to all of them.
  template <class Combine>
  __device__ __forceinline__ static T reduce(T own, Combine combine) {
    using block = cub::BlockReduce<T, Threads>;
    __shared__ typename block::TempStorage storage;
    __shared__ T all;
    const T first = block(storage).Reduce(own, combine);  // thread 0 has it
    if (threadIdx.x == 0) all = first;
    __syncthreads();
    const T result = all;
    __syncthreads();  // the memory is free for the next one
    return result;
  }
};

}  // namespace iapt
