// SPDX-License-Identifier: Apache-2.0
// The kernels that run a loop or a team kernel on a GPU. Both may be launched before the kernel ahead of them has
// ended: their blocks take the places that it leaves, ask for what they will read (fetch()), and wait for it.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "iapt/backend/cuda/pdl.cuh"
#include "iapt/backend/cuda/team.cuh"
#include "iapt/backend/thrust/fixed_vec.hpp"

namespace iapt {

/// Threads of a team kernel's blocks: the kernel's own wish, or 128.
template <class F>
constexpr int team_threads = [] {
  if constexpr (requires { F::threads; })
    return F::threads;
  else
    return 128;
}();

/// Blocks of a team kernel that a multiprocessor is to have room for: the kernel's own wish, or 1.
template <class F>
constexpr int team_blocks = [] {
  if constexpr (requires { F::blocks; })
    return F::blocks;
  else
    return 1;
}();

/// Threads of a loop's blocks.
inline constexpr int loop_threads = 128;

/// Runs f(k) for k in 0..n-1, a thread for each. Thrust's for_each_n would do, but for the microseconds that it cannot
/// overlap with the kernels before and after it.
template <class F>
__global__ void __launch_bounds__(loop_threads) loop_kernel(const __grid_constant__ F f, std::uint32_t n) {
  pdl_trigger();
  pdl_wait();
  const std::uint32_t k = blockIdx.x * loop_threads + threadIdx.x;
  if (k < n) f(k);
}

/// Runs a team kernel, a block for each team. What it will read it may ask for before its turn (fetch()), finding it
/// by what no kernel writes; one that takes its turn itself says so (calls_pdl_wait).
template <class F>
__global__ void __launch_bounds__(team_threads<F>, team_blocks<F>) team_kernel(const __grid_constant__ F f) {
  using T = compute_type<typename F::value_type>;
  extern __shared__ double2 scratch[];  // aligned for any type of number
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
