// SPDX-License-Identifier: Apache-2.0
// How kernels follow each other: one may begin while the kernel ahead of it still runs, and waits for it when it must.
#pragma once
#include <cuda_runtime.h>

namespace iapt {

/// Waits for all that was queued before.
__device__ __forceinline__ void await_turn() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}
/// Lets the next kernel's blocks come as soon as all of this one's have said so.
__device__ __forceinline__ void let_next_come() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

/// Reads from here on see what was there when the kernel ahead let this one come, and no older copy in the
/// multiprocessor's cache.
__device__ __forceinline__ void see_anew() {
#ifdef __CUDA_ARCH__
  __threadfence();
#endif
}

}  // namespace iapt
