// SPDX-License-Identifier: Apache-2.0
// cuda_backend as it is, for a host compiler, on the simulated GPU: the CUDA runtime, cuBLASLt and the threads of
// a block are simulated (device.cpp, runtime.cpp, cublas_lt.cpp, thread_block.hpp; cub/ stands in for NVIDIA's
// headers of this name). What is left untested is what nvcc and a GPU make of the same text.
#pragma once
#define __shared__ thread_local  // one for all threads of a block, for these are fibers of one thread
#define __launch_bounds__(...)
#define IAPT_SIMULATED_GPU 1  // tests may ask it
#include <cuda_runtime.h>

#include <cstddef>
#include <cstring>

#include "support/simulated_gpu/device.hpp"
#include "support/simulated_gpu/thread_block.hpp"

/// Which thread this is.
inline const struct {
  /// Its number in the block.
  struct {
    operator unsigned() const { return iapt::test::thread_block::here().thread(); }  ///< as CUDA has it
  } x;
} threadIdx;
/// Which block this is.
inline thread_local uint3 blockIdx;
/// All threads of the block come here before one goes on.
inline void __syncthreads() { iapt::test::thread_block::here().barrier(); }
/// What the thread has whose number differs by these bits. One barrier is enough, for what is written behind it has
/// another place.
template <class T>
T __shfl_xor_sync(unsigned, T own, int bits) {
  static thread_local T values[2][1024];
  T* const all = values[iapt::test::thread_block::here().phase() % 2];
  all[threadIdx.x] = own;
  __syncthreads();
  return all[threadIdx.x ^ unsigned(bits)];
}

namespace iapt {
/// Shared memory whose size a launch says; kernels declare it by this name.
inline thread_local double2 scratch[(228 << 10) / sizeof(double2)];
}  // namespace iapt

/// As CUDA has it for nvcc.
template <class F>
cudaError_t cudaFuncSetAttribute(void (*kernel)(F), cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
/// Enqueues a team kernel, as CUDA's function of this name would. Its scratch memory is full of NaN at first.
template <class F>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* how, void (*kernel)(F), const F& f) {
  using namespace iapt::test;
  simulated_gpu& device = simulated_gpu::here();
  const unsigned blocks = how->gridDim.x, threads = how->blockDim.x;
  const std::size_t scratch = how->dynamicSmemBytes;
  if (blocks == 0 || threads == 0 || threads > 1024) return device.fail(cudaErrorInvalidConfiguration);
  const auto asked = device.scratch.find(reinterpret_cast<const void*>(kernel));
  const std::size_t most = asked == device.scratch.end() ? device.usual_shared - device.static_shared : asked->second;
  if (scratch > most) return device.fail(cudaErrorInvalidValue);
  device.check_argument(f);
  return device.enqueue(how->stream, [=] {
    for (unsigned k = blocks; k-- > 0;) {  // in no order that a kernel might rely on
      blockIdx = {k, 0, 0};
      std::memset(iapt::scratch, 0xff, scratch);
      thread_block::here().run(threads, [&] { kernel(f); });
    }
  });
}
/// Enqueues a loop, whose threads know nothing of each other.
template <class F>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* how, void (*kernel)(F, std::uint32_t), const F& f,
                               std::uint32_t n) {
  using namespace iapt::test;
  const unsigned blocks = how->gridDim.x, threads = how->blockDim.x;
  simulated_gpu::here().check_argument(f);
  return simulated_gpu::here().enqueue(how->stream, [=] {
    for (unsigned k = blocks; k-- > 0;) {
      blockIdx = {k, 0, 0};
      thread_block::here().run_apart(threads, [&] { kernel(f, n); });
    }
  });
}

#include "iapt/backend/cuda/backend.cuh"
