// SPDX-License-Identifier: Apache-2.0
// An NVIDIA GPU: statements by Thrust, row kernels and attention a block of threads for each group, products by
// cuBLASLt, all in the order of one stream. To be included by what nvcc compiles.
#pragma once
#include <cuda_runtime.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <typeinfo>
#include <unordered_map>
#include <utility>

#if IAPT_CUDNN
#include "iapt/backend/cuda/cudnn_loops.cuh"
#endif
#include "iapt/backend/cuda/error.cuh"
#include "iapt/backend/cuda/group.cuh"
#include "iapt/backend/cuda/product.cuh"
#include "iapt/backend/cuda/recording.cuh"
#include "iapt/backend/cuda/staging.cuh"
#include "iapt/backend/thrust/loops.hpp"

namespace iapt {

/// Which GPU is used, and how.
struct cuda_options {
  int device = 0;               ///< its number
  bool blocking = false;        ///< wait for every operation, so that a fault is blamed on the one that made it
  bool fused_attention = true;  ///< cuDNN's attention for bfloat16, where the program has it and it is for the heads
};

#if IAPT_CUDNN
/// What a GPU shares with other backends, and cuDNN's attention.
template <class Self>
using cuda_loops = cudnn_loops<Self>;
#else
/// What a GPU shares with other backends.
template <class Self>
using cuda_loops = thrust_loops<Self>;
#endif

/// A GPU as a backend, for one host thread, which has it as its current device from here on. Everything is queued in
/// one stream, so memory that comes back can be handed out at once; the host waits in download() alone. A result
/// repeats bit for bit on one kind of GPU.
class cuda_backend : public cuda_loops<cuda_backend> {
 public:
  using work_type = cuda_work;  ///< of repeat()

  /// Opens the device.
  /// @throws device_error if there is no such device, or no driver
  explicit cuda_backend(cuda_options options = {}) : options_(options), device_(open(options.device)) {
    cudaStream_t stream;
    cuda_check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
    stream_.reset(stream);
    // What the pool gives back stays with the process: the driver would unmap it at every wait.
    cudaMemPool_t memory;
    std::uint64_t all = UINT64_MAX;
    cuda_check(cudaDeviceGetDefaultMemPool(&memory, options.device), "memory pool");
    cuda_check(cudaMemPoolSetAttribute(memory, cudaMemPoolAttrReleaseThreshold, &all), "memory pool");
    products_ = std::make_unique<cublas_products>(stream);
    staging_ = std::make_unique<staging_memory>(stream);
  }
  ~cuda_backend() {
    cudaStreamSynchronize(stream_.get());
#if IAPT_CUDNN
    this->close_fused_attention();
#endif
    trim();
  }

  /// The device's name and memory, for messages.
  std::string description() const {
    return std::string(device_.name) + ", " + std::to_string(device_.totalGlobalMem >> 20) + " MiB";
  }
  /// How it is used.
  const cuda_options& options() const { return options_; }
  /// Its compute capability; 90 for Hopper.
  int capability() const { return device_.major * 10 + device_.minor; }
  /// The stream that everything is queued in.
  cudaStream_t stream() const { return stream_.get(); }
  /// Where Thrust's algorithms run.
  auto policy() const { return thrust::cuda::par_nosync.on(stream_.get()); }
  /// Shared memory that a block may ask for, less what its reductions take.
  extent scratch_bytes() const { return extent(device_.sharedMemPerBlockOptin) - 1024; }

  /// Uninitialised memory for n numbers.
  /// @throws device_error if there is none
  template <class T>
  T* take(extent n) {
    if (!recording_) return memory_pool::take<T>(n);
    void* const p = recording_->take(std::max<std::size_t>(1, n * sizeof(T)));
    recorded_.emplace(p, recording_);
    return static_cast<T*>(p);
  }
  /// Takes memory back; `n` as it was asked for.
  template <class T>
  void give(T* p, extent n) {
    const auto found = recorded_.empty() ? recorded_.end() : recorded_.find(p);
    if (found == recorded_.end()) return memory_pool::give(p, n);
    const auto memory = std::move(found->second);  // until here it may be the last to hold it
    recorded_.erase(found);
    memory->give(p);
  }
  /// Memory from the device, in stream order.
  /// @throws device_error if there is none
  void* allocate(std::size_t bytes) {
    void* p = nullptr;
    if (cudaMallocAsync(&p, bytes, stream_.get()) == cudaSuccess) return p;
    cudaGetLastError();
    trim();  // what is idle may be in the way
    wait("allocation");
    cudaMemPool_t memory;
    if (cudaDeviceGetDefaultMemPool(&memory, options_.device) == cudaSuccess) cudaMemPoolTrimTo(memory, 0);
    if (cudaMallocAsync(&p, bytes, stream_.get()) == cudaSuccess) return p;
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw device_error("cuda: out of memory: " + std::to_string(bytes >> 20) + " MiB more were wanted, " +
                       std::to_string(free >> 20) + " of " + std::to_string(total >> 20) + " MiB are free on " +
                       device_.name);
  }
  /// Memory back to the device, in stream order.
  void release(void* p) { cudaFreeAsync(p, stream_.get()); }

  /// to[i] = from[i]; both on the device.
  template <class T>
  void copy(T* to, const T* from, extent n) {
    check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToDevice, stream_.get()), "copy");
    queued("copy");
  }
  /// From the host, which does not wait.
  template <class T>
  void upload(T* to, const T* from, extent n) {
    if (capturing_) throw device_error("cuda: recorded work must not read from the host");
    staging_->upload(to, from, n * sizeof(T));
    queued("upload");
  }
  /// To the host, which waits for it and all that was queued before.
  /// @throws device_error if anything that was queued has failed
  template <class T>
  void download(T* to, const T* from, extent n) {
    check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToHost, stream_.get()), "download");
    wait("download");
  }
  /// p[i] = 0.
  template <class T>
  void zero(T* p, extent n) {
    check(cudaMemsetAsync(p, 0, n * sizeof(T), stream_.get()), "zero");
    queued("zero");
  }
  /// Waits for all that was queued.
  /// @throws device_error if any of it has failed
  void wait(const char* operation = "wait") { check(cudaStreamSynchronize(stream_.get()), operation); }
  /// Notes that an operation was queued, for the blame of a fault that comes up later.
  /// @throws device_error if every operation is waited for, and this one has failed
  void queued(const char* operation) {
    last_ = operation;
    if (options_.blocking) wait(operation);
  }

  /// Runs f, which must queue the same work on the same memory each time it is called with the same `work`: twice as it
  /// stands, then while it is recorded as a CUDA graph; from then on the graph runs in its place, one launch for all.
  /// @throws device_error if f cannot be recorded: it uploads, or waits
  template <class F>
  void repeat(cuda_work& work, const F& f) {
    const auto launch = [&] {
      cuda_check(cudaGraphLaunch(work.graph_.get(), stream_.get()), "recorded work");
      queued("recorded work");
    };
    if (work.graph_) return launch();
    if (options_.blocking || work.runs_++ == 0) return f();  // kernels are loaded, algorithms are chosen
    if (!work.memory_) work.memory_ = std::make_shared<recording_memory>();
    const recording_scope memory(recording_, work.memory_);
    if (work.runs_ == 2) return f();  // in the memory that it will have
    cuda_check(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeRelaxed), "recording");
    cudaGraph_t graph = nullptr;
    try {
      capturing_ = true;
      f();
      capturing_ = false;
    } catch (...) {
      capturing_ = false;
      cudaStreamEndCapture(stream_.get(), &graph);
      if (graph) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    cuda_check(cudaStreamEndCapture(stream_.get(), &graph), "recording");
    cudaGraphExec_t ready = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&ready, graph, 0);
    cudaGraphDestroy(graph);
    cuda_check(status, "recording");
    work.graph_.reset(ready);
    launch();
  }

  /// Runs a lane loop: f(r, lane) for every row and column.
  template <class F>
  void grid(extent rows, extent columns, const F& f) {
    try {
      thrust_loops::grid(rows, columns, f);
    } catch (const thrust::system_error& failure) { check(cudaError_t(failure.code().value()), typeid(F).name()); }
    queued(typeid(F).name());
  }
  /// Runs a row kernel: f(group, k) for k in 0..n-1.
  template <class F>
  void groups(extent n, extent, const F& f) {
    if (n == 0) return;
    if (n > INT32_MAX)
      throw device_error("cuda: " + readable_name(typeid(F).name()) + ": too many groups for a launch");
    std::size_t scratch = 0;
    if constexpr (requires { f.scratch(); }) {
      scratch = f.scratch() * sizeof(compute_type<typename F::value_type>);
      if (scratch > 48 << 10)  // more than that must be asked for
        cuda_check(cudaFuncSetAttribute(row_kernel<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, int(scratch)),
                   readable_name(typeid(F).name()));
    }
    cudaLaunchConfig_t how{};
    how.gridDim = unsigned(n), how.blockDim = group_threads<F>();
    how.dynamicSmemBytes = scratch, how.stream = stream_.get();
    check(cudaLaunchKernelEx(&how, row_kernel<F>, f), typeid(F).name());
    queued(typeid(F).name());
  }
  /// c (m, n) = or += a (m, k) · b (k, n).
  template <class T>
  void matmul(extent m, extent n, extent k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
              bool accumulate) {
    if (m == 0 || n == 0) return;
    if (k > 0)
      products_->run(m, n, k, a, b, c, accumulate);
    else if (!accumulate)
      check(cudaMemset2DAsync(c.data, c.stride * sizeof(T), 0, n * sizeof(T), m, stream_.get()), "matmul");
    queued("matmul");
  }

 private:
  // Takes memory from a recording until its end.
  struct recording_scope {
    std::shared_ptr<recording_memory>& current;
    recording_scope(std::shared_ptr<recording_memory>& place, const std::shared_ptr<recording_memory>& memory)
        : current(place) {
      current = memory;
    }
    ~recording_scope() { current = nullptr; }
  };
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
  // A fault of anything that was queued may come up at any later call: only where every operation is waited for, or the
  // launch itself is refused, is this the one to blame.
  void check(cudaError_t status, const char* operation) const {
    if (status == cudaSuccess) return;
    const std::string name = readable_name(operation);
    if (options_.blocking || status == cudaErrorInvalidValue || status == cudaErrorInvalidConfiguration ||
        status == cudaErrorLaunchOutOfResources || status == cudaErrorNoKernelImageForDevice)
      cuda_check(status, name);
    cuda_check(status, "noticed at " + name + ", the last operation queued before was " + readable_name(last_) +
                           "; cuda_options{.blocking = true} finds the one to blame");
  }

  cuda_options options_;
  cudaDeviceProp device_;
  std::unique_ptr<CUstream_st, end_stream> stream_;
  std::unique_ptr<cublas_products> products_;
  std::unique_ptr<staging_memory> staging_;
  std::shared_ptr<recording_memory> recording_;  // where memory comes from now, if not the pool
  std::unordered_map<void*, std::shared_ptr<recording_memory>> recorded_;  // memory that is out, and where it belongs
  bool capturing_ = false;
  const char* last_ = "nothing";
};
static_assert(backend_like<cuda_backend>);

}  // namespace iapt
