// SPDX-License-Identifier: Apache-2.0
// Programmatic dependent launch (PDL): a kernel may start while the kernel before it in the stream still runs. On GPUs
// before sm_90 these functions do nothing.
#pragma once
#include <cuda_runtime.h>

namespace iapt {

/// Waits until all kernels before this one in the stream have ended and their writes are visible.
__device__ __forceinline__ void pdl_wait() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}
/// Allows the next kernel to start as soon as all blocks of this one have called it.
__device__ __forceinline__ void pdl_trigger() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

/// Orders memory accesses: a read behind it returns what was in memory when the previous kernel called pdl_trigger(),
/// or later, and no older copy from the multiprocessor's cache.
__device__ __forceinline__ void device_fence() {
#ifdef __CUDA_ARCH__
  __threadfence();
#endif
}

}  // namespace iapt
