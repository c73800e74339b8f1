// SPDX-License-Identifier: Apache-2.0
// Uploads that the host does not wait for: page-locked memory, which the device reads in stream order.
#pragma once
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "iapt/backend/cuda/device.cuh"
#include "iapt/backend/cuda/error.cuh"

namespace iapt {

/// Two halves of page-locked memory. The host fills one while the device may still read the other, and waits only if it
/// is a whole half ahead. The device must outlive the object.
class staging_memory {
 public:
  /// Allocates the memory.
  /// @throws device_error if there is none
  explicit staging_memory(const cuda_device& device) : device_(device) {
    void* memory;
    cuda_check(cudaMallocHost(&memory, 2 * half_bytes), "page-locked memory");
    memory_ = static_cast<std::byte*>(memory);
    for (cudaEvent_t& read : read_) cuda_check(cudaEventCreateWithFlags(&read, cudaEventDisableTiming), "an event");
  }
  ~staging_memory() {
    cudaStreamSynchronize(device_.stream());  // the device may still read the memory
    for (cudaEvent_t read : read_) cudaEventDestroy(read);
    cudaFreeHost(memory_);
  }
  staging_memory(const staging_memory&) = delete;
  staging_memory& operator=(const staging_memory&) = delete;

  /// to[i] = from[i]; `from` may change as soon as this returns.
  /// @throws device_error if the device refuses
  void upload(void* to, const void* from, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
      if (used_ == half_bytes) change_halves();
      const std::size_t count = std::min(bytes - done, half_bytes - used_);
      std::byte* const place = memory_ + half_ * half_bytes + used_;
      std::memcpy(place, static_cast<const std::byte*>(from) + done, count);
      device_.check(
          cudaMemcpyAsync(static_cast<std::byte*>(to) + done, place, count, cudaMemcpyHostToDevice, device_.stream()),
          "upload");
      done += count, used_ += count;
    }
  }

 private:
  static constexpr std::size_t half_bytes = std::size_t(8) << 20;
  void change_halves() {
    device_.check(cudaEventRecord(read_[half_], device_.stream()), "upload");
    half_ = 1 - half_, used_ = 0;
    device_.check(cudaEventSynchronize(read_[half_]), "upload");  // returns at once if it was never recorded
  }
  const cuda_device& device_;
  std::byte* memory_ = nullptr;
  std::array<cudaEvent_t, 2> read_{};
  std::size_t half_ = 0, used_ = 0;
};

}  // namespace iapt
