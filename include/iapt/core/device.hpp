// SPDX-License-Identifier: Apache-2.0
// Markers for device code. Without nvcc, the marked functions are host functions that are always inlined.
#pragma once

/// Marks a function that kernels call: always inlined; nvcc compiles it for the device too.
#if defined(__CUDACC__)
#define IAPT_DEVICE __host__ __device__ __forceinline__
#else
#define IAPT_DEVICE [[gnu::always_inline]] inline
#endif
/// Unrolls the following loop on a GPU, so that the array that it uses stays in registers.
#if defined(__CUDA_ARCH__)
#define IAPT_UNROLL _Pragma("unroll")
#else
#define IAPT_UNROLL
#endif

namespace iapt {

/// Ends the program, or the kernel, at once: for what must not happen.
IAPT_DEVICE void trap() {
#if defined(__CUDA_ARCH__)
  __trap();
#else
  __builtin_trap();
#endif
}

/// The bits of `from` as a To. (std::bit_cast is host code only.)
template <class To, class From>
IAPT_DEVICE constexpr To bits_as(const From& from) {
  return __builtin_bit_cast(To, from);
}

}  // namespace iapt
