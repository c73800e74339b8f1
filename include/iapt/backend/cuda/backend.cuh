// SPDX-License-Identifier: Apache-2.0
// The backend for NVIDIA GPUs: elementwise kernels run one thread for each vec, team kernels one block for each team,
// matmuls run on cuBLASLt, all in the order of one stream. Only code that nvcc compiles may include it.
#pragma once
#include <cuda_runtime.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <typeinfo>
#include <unordered_map>
#include <utility>

#if IAPT_CUDNN
#include "iapt/backend/cuda/cudnn_loops.cuh"
#endif
#include "iapt/backend/cuda/device.cuh"
#include "iapt/backend/cuda/error.cuh"
#include "iapt/backend/cuda/kernel.cuh"
#include "iapt/backend/cuda/product.cuh"
#include "iapt/backend/cuda/recording.cuh"
#include "iapt/backend/cuda/skinny_gemm.cuh"
#include "iapt/backend/cuda/staging.cuh"
#include "iapt/backend/thrust/loops.hpp"
#include "iapt/expr/loops.hpp"

namespace iapt {

#if IAPT_CUDNN
/// The loops of other backends, with cuDNN's attention.
template <class Self>
using cuda_loops = cudnn_loops<Self>;
#else
/// The loops of other backends.
template <class Self>
using cuda_loops = thrust_loops<Self>;
#endif

/// A GPU as a backend, for one host thread at a time (make_current()). All operations are enqueued in one stream, so
/// freed memory can be reused at once. During a step, the host waits only in download(). Results are the same in every
/// bit on one kind of GPU.
class cuda_backend : public cuda_device, public cuda_loops<cuda_backend> {
 public:
  using work_type = cuda_work;  ///< work of repeat()

  /// Opens the device.
  /// @throws device_error if there is no such device, or no driver
  explicit cuda_backend(cuda_options options = {}) : cuda_device(options), products_(*this), staging_(*this) {
    // The process keeps memory that the pool frees: otherwise the driver would unmap it at every wait.
    cudaMemPool_t memory;
    std::uint64_t all = UINT64_MAX;
    cuda_check(cudaDeviceGetDefaultMemPool(&memory, options.device), "memory pool");
    cuda_check(cudaMemPoolSetAttribute(memory, cudaMemPoolAttrReleaseThreshold, &all), "memory pool");
  }
  ~cuda_backend() { trim(); }

  /// Shared memory that a block may use, without that of its reductions.
  index_t scratch_bytes() const { return shared_bytes() - reduction_bytes; }

  /// Allocates uninitialized memory for n elements.
  /// @throws device_error if there is none
  template <class T>
  T* allocate(index_t n) {
    const std::lock_guard lock(mutex_);
    if (!recording_) return memory_pool::allocate<T>(n);
    void* const p = recording_->allocate(n * index_t(sizeof(T)), !capturing_);
    recorded_.emplace(p, recording_);
    return static_cast<T*>(p);
  }
  /// Frees memory; `n` as in allocate().
  template <class T>
  void deallocate(T* p, index_t n) {
    const std::lock_guard lock(mutex_);
    const auto found = recorded_.empty() ? recorded_.end() : recorded_.find(p);
    if (found == recorded_.end()) return memory_pool::deallocate(p, n);
    const auto memory = std::move(found->second);  // keeps it alive: this may be the last owner
    recorded_.erase(found);
    memory->deallocate(p);
  }
  /// Allocates memory from the device, in stream order.
  /// @throws device_error if there is none
  void* allocate_raw(std::size_t bytes) {
    void* p = nullptr;
    if (cudaMallocAsync(&p, bytes, stream()) == cudaSuccess) return p;
    cudaGetLastError();
    trim();  // idle memory may be in the way
    wait("allocation");
    cudaMemPool_t memory;
    if (cudaDeviceGetDefaultMemPool(&memory, options().device) == cudaSuccess) cudaMemPoolTrimTo(memory, 0);
    if (cudaMallocAsync(&p, bytes, stream()) == cudaSuccess) return p;
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "allocation");
    throw device_error("cuda: out of memory: " + std::to_string(bytes >> 20) + " MiB more were wanted, " +
                       std::to_string(free >> 20) + " MiB are free on " + description());
  }
  /// Returns memory to the device, in stream order.
  void deallocate_raw(void* p) { cudaFreeAsync(p, stream()); }

  /// to[i] = from[i]; both on the device.
  template <class T>
  void copy(T* to, const T* from, index_t n) {
    check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToDevice, stream()), "copy");
    enqueued("copy");
  }
  /// Copies from the host, without waiting.
  template <class T>
  void upload(T* to, const T* from, index_t n) {
    if (capturing_) throw device_error("cuda: recorded work must not read from the host");
    staging_.upload(to, from, n * sizeof(T));
    enqueued("upload");
  }
  /// Copies to the host, and waits for the copy and everything that was enqueued before.
  /// @throws device_error if an enqueued operation has failed
  template <class T>
  void download(T* to, const T* from, index_t n) {
    check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToHost, stream()), "download");
    wait("download");
  }
  /// p[i] = 0.
  template <class T>
  void zero(T* p, index_t n) {
    check(cudaMemsetAsync(p, 0, n * sizeof(T), stream()), "zero");
    enqueued("zero");
  }
  /// Runs f, which must enqueue the same operations on the same memory in each call with the same `work`. The first two
  /// calls run f, the third one records it as a CUDA graph. From then on the graph runs instead: one launch for all
  /// operations.
  /// @throws device_error if f cannot be recorded: it uploads, waits, or needs more memory than before
  template <class F>
  void repeat(cuda_work& work, const F& f) {
    const auto launch = [&] {
      check(cudaGraphLaunch(work.graph_.get(), stream()), "recorded work");
      enqueued("recorded work");
    };
    if (work.graph_) return launch();
    if (options().blocking || work.runs_++ == 0) return f();  // loads kernels, chooses algorithms
    if (!work.memory_) work.memory_ = std::make_shared<recorded_memory>(*this);
    const recording_scope memory(recording_, work.memory_);
    if (work.runs_ == 2) return f();  // allocates the memory of the graph
    check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed), "recording");
    enqueued("recording");
    cudaGraph_t graph = nullptr;
    try {
      capturing_ = true;
      f();
      capturing_ = false;
      enqueued("recording");
    } catch (...) {
      capturing_ = false;
      enqueued("recording");
      cudaStreamEndCapture(stream(), &graph);
      if (graph) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream(), &graph), "recording");
    cudaGraphExec_t ready = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&ready, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "recording");
    work.graph_.reset(ready);
    launch();
  }

  /// Runs f(k) for k in 0..n-1.
  template <class F>
  void for_each_n(std::uint32_t n, const F& f) {
    if (n == 0) return;
    launch<typename F::loop_type>((n + loop_threads - 1) / loop_threads, loop_threads, 0, loop_kernel<F>, f, n);
  }
  /// Runs a team kernel: f(team, k) for k in 0..n-1.
  template <class F>
  void for_each_team(index_t n, index_t, const F& f) {
    if (n == 0) return;
    if (n > INT32_MAX) throw device_error("cuda: " + readable_name(typeid(F).name()) + ": too many teams for a launch");
    std::size_t scratch = 0;
    if constexpr (requires { f.scratch(); }) {
      scratch = f.scratch() * sizeof(compute_type<typename F::value_type>);
      if (scratch + reduction_bytes > 48 << 10)  // more than the default must be requested
        check(cudaFuncSetAttribute(team_kernel<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, int(scratch)),
              typeid(F).name());
    }
    launch<F>(unsigned(n), team_threads<F>, scratch, team_kernel<F>, f);
  }
  /// c (m, n) = or += a (m, k) · b (k, n).
  template <class T>
  void matmul(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, matrix_ref<T> c,
              bool accumulate) {
    if (m == 0 || n == 0) return;
    if constexpr (std::same_as<T, bfloat16>)
      if (is_skinny(m, k, a, b)) return skinny_matmul<T>(m, n, k, a, b, {accumulate ? c.data : nullptr, c.stride}, c);
    if (k > 0)
      products_.run(m, n, k, a, b, accumulate ? c.data : nullptr, c);
    else if (!accumulate)
      check(cudaMemset2DAsync(c.data, c.stride * sizeof(T), 0, n * sizeof(T), m, stream()), "matmul");
    enqueued("matmul");
  }
  /// c (m, n) = addend (m, n) + a (m, k) · b (k, n). If `once`, a bfloat16 result is rounded only once, from a float
  /// sum: cuBLASLt rounds a product before it adds the addend.
  template <class T>
  void add_product(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b, const T* addend, T* c,
                   bool once) {
    if (m == 0 || n == 0) return;
    if (k == 0) return copy(c, addend, m * n);
    if constexpr (std::same_as<T, bfloat16>) {
      if (is_skinny(m, k, a, b)) return skinny_matmul<T>(m, n, k, a, b, {addend, n}, {c, n});
      if (once) {
        buffer<float, cuda_backend> sum(*this, m * n);
        for_each(1, m * n, fold_chunks<float, bfloat16>{{addend}, {sum.write()}, 1, m * n, false});
        products_.run(m, n, k, a, b, sum.data(), matrix_ref<float>{sum.write(), n});
        enqueued("matmul");
        return for_each(1, m * n, fold_chunks<bfloat16, float>{{sum.data()}, {c}, 1, m * n, false});
      }
    }
    products_.run(m, n, k, a, b, addend, matrix_ref<T>{c, n});
    enqueued("matmul");
  }

 private:
  using recorded_memory = recording_memory<cuda_backend>;
  // Takes memory from a recording until the end of the scope.
  struct recording_scope {
    std::shared_ptr<recorded_memory>& current;
    recording_scope(std::shared_ptr<recorded_memory>& place, const std::shared_ptr<recorded_memory>& memory)
        : current(place) {
      current = memory;
    }
    ~recording_scope() { current = nullptr; }
  };
  // Enqueues a kernel; error messages have the name of what it runs. It may start before the previous one has ended, if
  // it waits for that one itself (pdl_wait).
  template <class Name, class... A>
  void launch(unsigned blocks, int threads, std::size_t scratch, void (*kernel)(A...), const A&... arguments) {
    cudaLaunchConfig_t how{};
    how.gridDim = blocks, how.blockDim = unsigned(threads), how.dynamicSmemBytes = scratch, how.stream = stream();
    cudaLaunchAttribute early{};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    how.attrs = &early, how.numAttrs = waits_itself(reinterpret_cast<const void*>(kernel), typeid(Name).name());
    check(cudaLaunchKernelEx(&how, kernel, arguments...), typeid(Name).name());
    enqueued(typeid(Name).name());
  }
  // Whether a kernel's code has pdl_wait(): it was compiled for Hopper or later. On such a GPU it may be code for an
  // older one.
  bool waits_itself(const void* kernel, const char* name) {
    const auto [place, is_new] = waits_itself_.try_emplace(kernel, false);
    if (is_new) {
      cudaFuncAttributes attributes;
      check(cudaFuncGetAttributes(&attributes, kernel), name);
      place->second = attributes.ptxVersion >= 90;
    }
    return place->second;
  }
  // Whether a product has few rows, and weights that are stored (out, in), all of them aligned.
  template <class T>
  static bool is_skinny(index_t m, index_t k, matrix_ref<const T> a, matrix_ref<const T> b) {
    using V = load_vec<T>;
    return m <= 4 && k > 0 && k % V::width == 0 && !a.transposed && b.transposed && a.stride % V::width == 0 &&
           b.stride % V::width == 0 && V::aligned(a.data) && V::aligned(b.data);
  }
  template <class T>
  void skinny_matmul(index_t m, index_t n, index_t k, matrix_ref<const T> a, matrix_ref<const T> b,
                     matrix_ref<const T> addend, matrix_ref<T> c) {
    const bool overlaps_previous = independent_gemms_.admit(enqueued_count(), a, m, b, n);
    const auto run = [&]<int Rows>(std::integral_constant<int, Rows>) {
      using kernel = skinny_gemm<T, Rows>;
      for_each_team((n + kernel::outputs - 1) / kernel::outputs, k * kernel::outputs,
                    kernel{a, b, addend, c, m, n, k, overlaps_previous});
    };
    if (m == 1)
      run(std::integral_constant<int, 1>());
    else if (m == 2)
      run(std::integral_constant<int, 2>());
    else
      run(std::integral_constant<int, 4>());
    independent_gemms_.add(enqueued_count(), c, m, overlaps_previous);
  }
  cublas_products products_;
  independent_gemms independent_gemms_;
  std::unordered_map<const void*, bool> waits_itself_;
  staging_memory staging_;
  std::shared_ptr<recorded_memory> recording_;  // where memory is allocated, if not in the pool
  std::unordered_map<void*, std::shared_ptr<recorded_memory>> recorded_;  // allocated memory, and its recording
  bool capturing_ = false;
};
static_assert(backend_like<cuda_backend>);

}  // namespace iapt
