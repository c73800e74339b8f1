// SPDX-License-Identifier: Apache-2.0
// An open GPU: the stream that all operations are enqueued in, and which operation a failure is attributed to.
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
  int device = 0;               ///< index of the GPU
  bool blocking = false;        ///< wait for every operation, so that a failure is attributed to the right one
  bool fused_attention = true;  ///< use cuDNN's attention for bfloat16, if the program has it and it supports the heads
};

/// A GPU and its stream. Users of the stream must end before the device does.
class cuda_device {
 public:
  /// Opens the device, and makes it the calling thread's current one.
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
  /// Options of the device.
  const cuda_options& options() const { return options_; }
  /// Compute capability; 90 for Hopper.
  int capability() const { return properties_.major * 10 + properties_.minor; }
  /// Shared memory that a block may use, in bytes.
  index_t shared_bytes() const { return index_t(properties_.sharedMemPerBlockOptin); }
  /// The stream of all operations. Code that enqueues other operations in it calls enqueued().
  cudaStream_t stream() const { return stream_.get(); }
  /// Makes it the current device of the calling thread, which uses it instead of the thread that opened it. The next
  /// operation reports a failure.
  void make_current() const { cudaSetDevice(options_.device); }

  /// Waits for everything that was enqueued.
  /// @throws device_error if any of it has failed
  void wait(const char* operation = "wait") { check(cudaStreamSynchronize(stream()), operation); }
  /// Records that an operation was enqueued, to name it in the message of a later failure.
  /// @throws device_error with cuda_options::blocking, if the operation has failed
  void enqueued(const char* operation) {
    last_ = operation, ++count_;
    if (options_.blocking) wait(operation);
  }
  /// Number of operations that have been enqueued.
  std::uint64_t enqueued_count() const { return count_; }
  /// @throws device_error if a call failed, with the name of its operation, which may be a type's mangled name
  void check(cudaError_t status, const char* operation) const {
    if (status != cudaSuccess) fail(readable_name(operation), cudaGetErrorString(status));
  }
  /// Reports a failed call with its operation, unless an operation that was enqueued before has failed: that failure
  /// appears at any later call, and at all that follow. With cuda_options::blocking, it is the last enqueued operation.
  /// @throws device_error
  [[noreturn]] void fail(const std::string& operation, const std::string& why) const {
    cudaGetLastError();  // clears the error, which the next call would also report
    std::size_t free, total;
    const cudaError_t fault = cudaMemGetInfo(&free, &total);  // a call that fails only for that reason
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
