// SPDX-License-Identifier: Apache-2.0
// What the library takes from CUB, for the threads of a simulated block.
#pragma once
#include <limits>

namespace cub {

/// Combines one value of each thread.
template <class T, int Threads>
struct BlockReduce {
  /// Shared memory.
  struct TempStorage {
    T values[Threads];  ///< by number of thread
  };
  TempStorage& storage;  ///< must not be used for anything else before all threads are done
  /// Of these threads.
  explicit BlockReduce(TempStorage& shared) : storage(shared) {}
  /// All of them, for the first thread; what others get is nothing.
  template <class Combine>
  T Reduce(T own, Combine combine) {
    storage.values[threadIdx.x] = own;
    __syncthreads();
    if (threadIdx.x != 0) return std::numeric_limits<T>::quiet_NaN();
    for (int i = 1; i < Threads; ++i) own = combine(own, storage.values[i]);
    return own;
  }
};

}  // namespace cub
