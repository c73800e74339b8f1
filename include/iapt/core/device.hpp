// SPDX-License-Identifier: Apache-2.0
// What device code is marked with. A compiler for the host alone sees functions that are always inlined.
#pragma once

/// Marks a function of a loop body: inlined always, and compiled for the device as well where there is one.
#if defined(__CUDACC__)
#define IAPT_DEVICE __host__ __device__ __forceinline__
#else
#define IAPT_DEVICE [[gnu::always_inline]] inline
#endif
/// Before a loop over an array that a GPU is to keep in registers.
#if defined(__CUDA_ARCH__)
#define IAPT_UNROLL _Pragma("unroll")
#else
#define IAPT_UNROLL
#endif

namespace iapt {

/// The same bits as a To. (std::bit_cast is the host's alone.)
template <class To, class From>
IAPT_DEVICE constexpr To bits_as(const From& from) {
  return __builtin_bit_cast(To, from);
}

}  // namespace iapt
