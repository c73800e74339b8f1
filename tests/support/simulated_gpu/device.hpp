// SPDX-License-Identifier: Apache-2.0
// A GPU that is not there: memory that the host cannot touch, and streams whose work begins only when somebody waits
// for it. What CUDA's runtime does with it is in runtime.cpp.
#pragma once
#include <cuda_runtime.h>
#include <setjmp.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <type_traits>
#include <vector>

/// Work of a stream, in order.
using simulated_work = std::vector<std::function<void()>>;

// CUDA's handles are pointers to types that it does not define.
struct CUgraph_st {
  simulated_work work;
};
struct CUgraphExec_st {
  simulated_work work;
};
struct CUstream_st {
  std::deque<std::function<void()>> queue;
  std::size_t done = 0;             // pieces of work that have run
  CUgraph_st* recording = nullptr;  // where work goes instead, if it is being recorded
  bool spoilt = false;              // the recording met something that cannot be recorded
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
  std::size_t after = 0;  // pieces of work of the stream before it
};

namespace iapt::test {

/// The device.
class simulated_gpu {
 public:
  /// The only one.
  static simulated_gpu& here();
  simulated_gpu(const simulated_gpu&) = delete;
  simulated_gpu& operator=(const simulated_gpu&) = delete;

  /// Memory of the device, or null if there is no more.
  void* allocate(std::size_t bytes);
  /// Takes it back. False if it is none.
  bool release(void* p);
  /// Whether all of it is memory that was given out.
  bool owns(const void* p, std::size_t bytes) const;
  /// Bytes given out.
  std::size_t bytes_in_use() const { return in_use_; }
  /// Bytes of all of it.
  static constexpr std::size_t bytes = std::size_t(16) << 30;

  /// What a kernel gets is copied to the device as it stands, and may point nowhere but there.
  template <class F>
  void check_argument(F f) const {
    static_assert(std::is_trivially_copyable_v<F>);
    __builtin_clear_padding(&f);
    check_argument(&f, sizeof f);
  }
  void check_argument(const void* kernel, std::size_t size) const;
  /// Puts work at the end of a stream, or of what is being recorded there.
  cudaError_t queue(CUstream_st* stream, std::function<void()> work);
  /// Runs what a stream has up to its piece `until`.
  cudaError_t run(CUstream_st& stream, std::size_t until);
  /// Runs all of a stream.
  cudaError_t wait(CUstream_st& stream);
  /// How often the host has waited for more than one copy of what was there already.
  std::size_t waits = 0;
  /// Streams that there are.
  std::set<CUstream_st*> streams;
  /// Scratch memory that a kernel may have, where it was asked to be more than 48 KiB.
  std::map<const void*, std::size_t> scratch;
  /// A failure, which is told by the call itself and once more.
  cudaError_t fail(cudaError_t status) { return status == cudaSuccess ? status : last = status; }
  /// The last one.
  cudaError_t last = cudaSuccess;

 private:
  simulated_gpu();
  ~simulated_gpu() = delete;
  static void fault(int);
  std::byte* memory_;
  std::size_t used_ = 0, in_use_ = 0;
  std::map<const void*, std::size_t> blocks_;
  std::multimap<std::size_t, void*> idle_;
  cudaError_t fault_ = cudaSuccess;  // every call fails from here on
  sigjmp_buf out_;
};

}  // namespace iapt::test
