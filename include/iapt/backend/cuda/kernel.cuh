// SPDX-License-Identifier: Apache-2.0
// The kernels that run a loop or a team kernel on a GPU. Both may start before the previous kernel has ended (PDL):
// their blocks use the multiprocessors that it leaves, prefetch what they will read (fetch()), and wait for it.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "iapt/backend/cuda/pdl.cuh"
#include "iapt/backend/cuda/team.cuh"
#include "iapt/backend/thrust/fixed_vec.hpp"

namespace iapt {

/// Threads of a team kernel's blocks: as the kernel declares, or 128.
template <class F>
constexpr int team_threads = [] {
  if constexpr (requires { F::threads; })
    return F::threads;
  else
    return 128;
}();

/// Blocks of a team kernel for which a multiprocessor must have room: as the kernel declares, or 1.
template <class F>
constexpr int team_blocks = [] {
  if constexpr (requires { F::blocks; })
    return F::blocks;
  else
    return 1;
}();

/// Threads of an elementwise kernel's blocks.
inline constexpr int loop_threads = 128;

/// Runs f(k) for k in 0..n-1, one thread for each k. Thrust's for_each_n would take microseconds more, because it does
/// not overlap the kernels before and after it.
template <class F>
__global__ void __launch_bounds__(loop_threads) loop_kernel(const __grid_constant__ F f, std::uint32_t n) {
  pdl_trigger();
  pdl_wait();
  const std::uint32_t k = blockIdx.x * loop_threads + threadIdx.x;
  if (k < n) f(k);
}

/// Runs a team kernel, one block for each team. fetch() may prefetch before pdl_wait(); it finds addresses only through
/// data that no kernel writes. A kernel that calls pdl_wait() itself declares calls_pdl_wait.
template <class F>
__global__ void __launch_bounds__(team_threads<F>, team_blocks<F>) team_kernel(const __grid_constant__ F f) {
  using T = compute_type<typename F::value_type>;
  extern __shared__ double2 scratch[];  // aligned for any element type
  using team = block_team<T, team_threads<F>, load_vec<typename F::value_type>>;
  const team all{reinterpret_cast<T*>(scratch)};
  const index_t k = blockIdx.x;
  if constexpr (!requires { F::calls_pdl_wait; }) {
    pdl_trigger();
    if constexpr (requires { f.fetch(all, k); }) f.fetch(all, k);
    pdl_wait();
  }
  f(all, k);
}

}  // namespace iapt
