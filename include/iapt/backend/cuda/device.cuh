// SPDX-License-Identifier: Apache-2.0
// A GPU that is open: the stream that everything is enqueued in, and who is to blame for what fails in it.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "iapt/backend/cuda/error.cuh"
#include "iapt/core/shape.hpp"

namespace iapt {

/// Which GPU is used, and how.
struct cuda_options {
  int device = 0;               ///< its number
  bool blocking = false;        ///< wait for every operation, so that a fault is blamed on the one that made it
  bool fused_attention = true;  ///< cuDNN's attention for bfloat16, where the program has it and it is for the heads
};

/// A GPU and a stream of it. What uses the stream must end before.
class cuda_device {
 public:
  /// Opens the device, which is the calling thread's current one from here on.
  /// @throws device_error if there is no such device, or no driver
  explicit cuda_device(cuda_options options) : options_(options), properties_(open(options.device)) {
    cudaStream_t stream;
    cuda_check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
    stream_.reset(stream);
  }

  /// The device's name and memory, for messages.
  std::string description() const {
    return std::string(properties_.name) + ", " + std::to_string(properties_.totalGlobalMem >> 20) + " MiB";
  }
  /// How it is used.
  const cuda_options& options() const { return options_; }
  /// Its compute capability; 90 for Hopper.
  int capability() const { return properties_.major * 10 + properties_.minor; }
  /// Shared memory that a block may have, in bytes.
  index_t shared_bytes() const { return index_t(properties_.sharedMemPerBlockOptin); }
  /// The stream that everything is enqueued in. Who enqueues work of their own there says so (enqueued()).
  cudaStream_t stream() const { return stream_.get(); }
  /// Makes it the current device of the thread that calls, which is to use it in place of the one that opened it. A
  /// failure comes up at the next operation.
  void make_current() const { cudaSetDevice(options_.device); }

  /// Waits for all that was enqueued.
  /// @throws device_error if any of it has failed
  void wait(const char* operation = "wait") { check(cudaStreamSynchronize(stream()), operation); }
  /// Notes that an operation was enqueued, for the blame of a fault that comes up later.
  /// @throws device_error if every operation is waited for, and this one has failed
  void enqueued(const char* operation) {
    last_ = operation, ++count_;
    if (options_.blocking) wait(operation);
  }
  /// How many operations have been enqueued.
  std::uint64_t enqueued_count() const { return count_; }
  /// @throws device_error if a call failed, naming its operation, which may be a type's name as compilers write it
  void check(cudaError_t status, const char* operation) const {
    if (status != cudaSuccess) fail(readable_name(operation), cudaGetErrorString(status));
  }
  /// Blames a failed call on its operation, unless one that was enqueued before has failed: that comes up at any later
  /// call, and at all that follow. Where every operation is waited for, it is the last that was enqueued.
  /// @throws device_error
  [[noreturn]] void fail(const std::string& operation, const std::string& why) const {
    cudaGetLastError();  // it must not be blamed on the next call as well
    std::size_t free, total;
    const cudaError_t fault = cudaMemGetInfo(&free, &total);  // some call that can only fail so
    cudaGetLastError();
    const std::string last = readable_name(last_);
    if (fault == cudaSuccess || (options_.blocking && operation == last))
      throw device_error("cuda: " + operation + ": " + why);
    if (options_.blocking)
      throw device_error("cuda: " + operation + ": nothing runs since " + last +
                         " failed: " + cudaGetErrorString(fault));
    throw device_error("cuda: noticed at " + operation + ", the last operation enqueued before was " + last +
                       "; cuda_options{.blocking = true} finds the one to blame: " + cudaGetErrorString(fault));
  }

 private:
  struct end_stream {
    void operator()(CUstream_st* stream) const { cudaStreamDestroy(stream); }
  };
  static cudaDeviceProp open(int device) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    cudaGetLastError();
    if (status != cudaSuccess)
      throw device_error(std::string("cuda: no GPU can be used on this machine: ") + cudaGetErrorString(status));
    if (device < 0 || device >= count)
      throw device_error("cuda: there is no device " + std::to_string(device) + "; this machine has " +
                         std::to_string(count));
    cuda_check(cudaSetDevice(device), "device " + std::to_string(device));
    cudaDeviceProp properties;
    cuda_check(cudaGetDeviceProperties(&properties, device), "device " + std::to_string(device));
    return properties;
  }
  cuda_options options_;
  cudaDeviceProp properties_;
  std::unique_ptr<CUstream_st, end_stream> stream_;
  const char* last_ = "nothing";
  std::uint64_t count_ = 0;
};

}  // namespace iapt
