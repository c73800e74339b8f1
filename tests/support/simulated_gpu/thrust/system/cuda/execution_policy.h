// SPDX-License-Identifier: Apache-2.0
// What the library takes from Thrust's CUDA system: an algorithm becomes work of a stream.
#pragma once
#include <thrust/detail/execution_policy.h>
#include <thrust/system_error.h>

#include "support/simulated_gpu/device.hpp"

namespace iapt::test {

/// Algorithms of a stream.
struct stream_policy : thrust::detail::execution_policy_base<stream_policy> {
  CUstream_st* stream;  ///< which one
  /// In a stream.
  explicit stream_policy(CUstream_st* s) : stream(s) {}
};
/// The last element first: no order is promised.
template <class Iterator, class Size, class F>
Iterator for_each_n(const stream_policy& policy, Iterator first, Size n, F f) {
  simulated_gpu::here().check_argument(f);
  if (n == 0) return first;
  const cudaError_t status = simulated_gpu::here().queue(policy.stream, [=]() mutable {
    for (Size i = n; i > 0; --i) f(first[i - 1]);
  });
  if (status != cudaSuccess) throw thrust::system_error(int(status), thrust::generic_category());
  return first + n;
}

}  // namespace iapt::test

namespace thrust::cuda {
/// Does not wait.
inline constexpr struct {
  /// In a stream.
  iapt::test::stream_policy on(CUstream_st* stream) const { return iapt::test::stream_policy(stream); }
} par_nosync;
}  // namespace thrust::cuda
