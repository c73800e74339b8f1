// SPDX-License-Identifier: Apache-2.0
// A simulated GPU: memory that the host cannot touch, and streams whose work begins only when the host waits
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
struct CUgraphExec_st : CUgraph_st {};
struct CUstream_st {
  explicit CUstream_st(int where) : device(where) {}
  int device;
  std::deque<std::function<void()>> queue;
  std::size_t done = 0;             // enqueued operations that have run
  CUgraph_st* recording = nullptr;  // where work goes instead, if it is being recorded
  bool spoilt = false;              // the recording met something that cannot be recorded
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
  std::size_t after = 0;  // enqueued operations of the stream before it
};

namespace iapt::test {

/// Whether all of it lies in one of these pieces, which are found by their beginning.
template <class Pieces>
bool within(const Pieces& pieces, const void* p, std::size_t bytes) {
  const auto at = static_cast<const std::byte*>(p);
  auto next = pieces.upper_bound(at);
  if (next == pieces.begin()) return false;
  const auto& [begin, size] = *--next;
  return at + bytes <= static_cast<const std::byte*>(begin) + size;
}

/// The device.
class simulated_gpu {
 public:
  /// The only one.
  static simulated_gpu& here();
  simulated_gpu(const simulated_gpu&) = delete;
  simulated_gpu& operator=(const simulated_gpu&) = delete;

  /// Ends the process: what a GPU would do silently and slowly, or not at all.
  [[noreturn]] static void refuse(const char* what);
  /// Memory of the device, or null if there is no more.
  void* allocate(std::size_t bytes);
  /// Takes it back, and says how many bytes it was; 0 if it is none.
  std::size_t release(void* p);
  /// Whether all of it is memory that was given out.
  bool owns(const void* p, std::size_t bytes) const;
  /// Begins anew where nothing is in use: there is less to protect.
  void tidy();
  /// Bytes given out.
  std::size_t bytes_in_use() const { return in_use_; }
  /// Bytes of all of it.
  static constexpr std::size_t bytes = std::size_t(256) << 30;
  /// How many devices there are, which share all that is here but for their streams.
  static constexpr int count = 2;
  /// The calling thread's.
  static inline thread_local int current = 0;
  /// What a block may have of shared memory, what of it without being asked, and what a kernel's variables are taken
  /// to need, in bytes.
  static constexpr std::size_t most_shared = 227 << 10, usual_shared = 48 << 10, static_shared = 1 << 10;

  /// What a kernel gets is copied to the device as it stands, and may point nowhere but there.
  template <class F>
  void check_argument(F f) const {
    static_assert(std::is_trivially_copyable_v<F>);
    __builtin_clear_padding(&f);
    check_argument(&f, sizeof f);
  }
  void check_argument(const void* kernel, std::size_t size) const;
  /// Why nothing goes on, if so.
  cudaError_t status() const { return fault_; }
  /// Puts work at the end of a stream, or of what is being recorded there.
  cudaError_t enqueue(CUstream_st* stream, std::function<void()> work);
  /// Runs what a stream has up to its piece `until`.
  cudaError_t run(CUstream_st& stream, std::size_t until);
  /// Runs all of a stream.
  cudaError_t finish(CUstream_st& stream) { return run(stream, stream.done + stream.queue.size()); }
  /// The same for the library, whose waits are counted, and refused where the stream is being recorded.
  cudaError_t wait(CUstream_st& stream);
  /// How often the host has waited for more than one copy of what was there already.
  std::size_t waits = 0;
  /// Streams that there are.
  std::set<CUstream_st*> streams;
  /// Scratch memory that a kernel may have, where more was asked for than it may have anyway.
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
