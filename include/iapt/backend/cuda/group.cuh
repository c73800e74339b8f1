// SPDX-License-Identifier: Apache-2.0
// The group that runs a row kernel on a GPU: a block of threads.
#pragma once
#include <cstddef>
#include <cub/block/block_reduce.cuh>

#include "iapt/expr/lane.hpp"

namespace iapt {

/// Shared memory that a row kernel's sums may take beside what it asks for, in bytes.
inline constexpr std::size_t reduction_bytes = 1024;

/// A block of threads that go through the columns side by side. Its sums have a fixed order: each thread's own columns
/// from first to last, then CUB's tree over the threads.
template <class T, int Threads>
struct block_group {
  T* scratch = nullptr;  ///< memory of the group's own, for a kernel that asks for it (scratch())

  /// Calls f(lane) for every column 0..n-1.
  template <class F>
  __device__ __forceinline__ void each(extent n, F f) const {
    for (extent j = threadIdx.x; j < n; j += Threads) f(lane<T>{j});
  }
  /// Σ f(lane) over every column.
  template <class F>
  __device__ __forceinline__ T sum(extent n, F f) const {
    T own(0);
    each(n, [&](auto j) { own = own + f(j); });
    return reduce(own, [](T a, T b) { return a + b; });
  }
  /// The greatest f(lane) over every column, or `start`.
  template <class F>
  __device__ __forceinline__ T max(extent n, T start, F f) const {
    T own = start;
    each(n, [&](auto j) {
      const T x = f(j);
      own = x > own ? x : own;
    });
    return reduce(own, [](T a, T b) { return a > b ? a : b; });
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

/// Threads of a row kernel's blocks: the kernel's own wish, or 128.
template <class F>
constexpr int group_threads() {
  if constexpr (requires { F::threads; })
    return F::threads;
  else
    return 128;
}

/// Runs a row kernel, a block for each group.
template <class F>
__global__ void __launch_bounds__(group_threads<F>()) row_kernel(const __grid_constant__ F f) {
  using T = compute_type<typename F::value_type>;
  extern __shared__ double2 scratch[];  // aligned for any type of number
  f(block_group<T, group_threads<F>()>{reinterpret_cast<T*>(scratch)}, extent(blockIdx.x));
}

}  // namespace iapt
