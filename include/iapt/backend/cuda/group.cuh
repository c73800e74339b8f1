// SPDX-License-Identifier: Apache-2.0
// The group that runs a row kernel on a GPU: a block of threads.
#pragma once
#include <concepts>
#include <cstddef>
#include <cub/block/block_reduce.cuh>

#include "iapt/backend/thrust/bundle.hpp"
#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// Shared memory that a row kernel's sums may take beside what it asks for, in bytes.
inline constexpr std::size_t reduction_bytes = 1024;

/// A block of threads that go through the columns side by side, a bundle each; what is left of them, one by one. Its
/// sums have a fixed order: each thread's own columns from first to last, then CUB's tree over the threads.
template <class T, int Threads, class Bundle>
struct block_group {
  T* scratch = nullptr;  ///< memory of the group's own, for a kernel that asks for it (scratch())

  /// Calls f(j) for every column 0..n-1: bundles, if there are enough of them for all threads.
  template <class F>
  __device__ __forceinline__ void each(index_t n, F f) const {
    index_t rest = 0;
    if (n >= step) {
      for (index_t j = own(); j + Bundle::width <= n; j += step) f(vec_index<Bundle>{j});
      rest = n - n % Bundle::width;
    }
    for (index_t j = rest + threadIdx.x; j < n; j += Threads) f(vec_index<T>{j});
  }
  /// Calls use(read(j)) for every bundle of 0..n-1, which are whole ones; `Ahead` are read before the first is used.
  template <int Ahead, class Read, class Use>
  __device__ __forceinline__ void each_bundle(index_t n, Read read, Use use) const {
    index_t j = own();
    for (; j + (Ahead - 1) * step < n; j += Ahead * step) {
      decltype(read(vec_index<Bundle>{j})) x[Ahead];
      unrolled<Ahead>([&](int i) { x[i] = read(vec_index<Bundle>{j + i * step}); });
      unrolled<Ahead>([&](int i) { use(x[i]); });
    }
    for (; j < n; j += step) use(read(vec_index<Bundle>{j}));
  }
  /// Calls f(j) for every column 0..n-1, one by one.
  template <class F>
  __device__ __forceinline__ void each_one(index_t n, F f) const {
    for (index_t j = threadIdx.x; j < n; j += Threads) f(vec_index<T>{j});
  }
  /// Σ f(j) over every column.
  template <class F>
  __device__ __forceinline__ T sum(index_t n, F f) const {
    Bundle lanes(T(0));
    T last(0);
    each(n, [&]<class V>(vec_index<V> j) {
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
    Bundle lanes(start);
    each(n, [&](auto j) { lanes = maximum(lanes, Bundle(f(j))); });
    return reduce(lanes.max(), [](T a, T b) { return a > b ? a : b; });
  }
  /// Σ of what each member has of its own.
  __device__ __forceinline__ T total(T own) const {
    return reduce(own, [](T a, T b) { return a + b; });
  }
  /// How many members there are, and which one this is.
  __device__ __forceinline__ int size() const { return Threads; }
  __device__ __forceinline__ int member() const { return int(threadIdx.x); }  ///< from 0 on
  /// own[i] = Σ of what each of `width` neighbours has there, a power of two up to 32; called by the whole group.
  template <int N>
  __device__ __forceinline__ void strand_sums(T (&own)[N], int width) const {
    for (int apart = width / 2; apart > 0; apart /= 2)  // all N at each distance, for one alone would wait for itself
      unrolled<N>([&](int i) { own[i] = own[i] + __shfl_xor_sync(0xffffffffu, own[i], apart); });
  }
  /// Calls f(i, Σ of what each member has in own[i]) for every i, a member for each. The order of a sum does not depend
  /// on N, a power of two.
  template <int N, class F>
  __device__ __forceinline__ void each_total(T (&own)[N], F f) const {
    constexpr int warp = 32, warps = Threads / warp;
    static_assert(N <= warp && (N & (N - 1)) == 0 && Threads % warp == 0);
    __shared__ T found[warps][N];
    // Of two neighbours each gives the other half of what it has, and keeps the sums of its own half: down to one.
    int kept = 0;
    unrolled<5>([&](int step) {
      const int apart = warp / 2 >> step, half = N / 2 >> step;
      const bool upper = member() & apart;
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
    if (member() % (warp / N) == 0) found[member() / warp][kept] = own[0];
    __syncthreads();
    if (member() < N) {
      T all = found[0][member()];
      for (int w = 1; w < warps; ++w) all = all + found[w][member()];
      f(member(), all);
    }
    __syncthreads();  // the memory is free for the next one
  }
  /// Does something once for the whole group: after all that it did before, and before all that follows.
  template <class F>
  __device__ __forceinline__ void once(F f) const {
    __syncthreads();
    if (threadIdx.x == 0) f();
    __syncthreads();
  }
  /// What any member wrote before is seen by all members after.
  __device__ __forceinline__ void barrier() const { __syncthreads(); }

 private:
  static constexpr index_t step = index_t(Threads) * Bundle::width;  // columns of a bundle for each thread
  __device__ __forceinline__ static index_t own() { return index_t(threadIdx.x) * Bundle::width; }
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
