// SPDX-License-Identifier: Apache-2.0
#include "support/simulated_gpu/device.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace iapt::test {
namespace {

/// Bytes in use from which on the host is not kept out: every page that is written would be a fault, again and again.
constexpr std::size_t large = std::size_t(64) << 20;
/// Whether work is left out, so that the memory, the work and the waits of a model of any size can be counted.
bool counts_alone() {
  static const char* const mode = std::getenv("IAPT_SIMULATED_GPU");
  return mode && std::strcmp(mode, "count") == 0;
}

}  // namespace

simulated_gpu& simulated_gpu::here() {
  static simulated_gpu* const device = new simulated_gpu;  // it outlives everything
  return *device;
}
simulated_gpu::simulated_gpu()
    : memory_(static_cast<std::byte*>(
          mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
  if (memory_ == MAP_FAILED) refuse("no addresses for its memory");
}

void* simulated_gpu::allocate(std::size_t size) {
  size = (std::max<std::size_t>(size, 1) + 255) / 256 * 256;
  void* p = nullptr;
  if (const auto block = idle_.lower_bound(size); block != idle_.end() && block->first <= 2 * size) {
    p = block->second, size = block->first;
    idle_.erase(block);
  } else {
    if (size > bytes - used_) return nullptr;
    p = memory_ + used_, used_ += size;
  }
  blocks_.emplace(p, size), in_use_ += size;
  return p;
}
std::size_t simulated_gpu::release(void* p) {
  const auto block = blocks_.find(p);
  if (block == blocks_.end()) return 0;
  const std::size_t size = block->second;
  idle_.emplace(size, p), in_use_ -= size;
  blocks_.erase(block);
  return size;
}
void simulated_gpu::tidy() {
  const auto at_rest = [](const CUstream_st* stream) { return stream->queue.empty(); };
  if (!blocks_.empty() || !std::all_of(streams.begin(), streams.end(), at_rest)) return;
  mprotect(memory_, used_, PROT_NONE);
  madvise(memory_, used_, MADV_DONTNEED);
  idle_.clear(), used_ = 0;
}
void simulated_gpu::refuse(const char* what) {
  std::fprintf(stderr, "simulated_gpu: %s\n", what);
  std::abort();
}
bool simulated_gpu::owns(const void* p, std::size_t size) const { return within(blocks_, p, size); }

void simulated_gpu::check_argument(const void* kernel, std::size_t size) const {
  static const auto page = std::uintptr_t(sysconf(_SC_PAGESIZE));
  const auto here = reinterpret_cast<std::uintptr_t>(memory_);
  for (std::size_t i = 0; i + sizeof(void*) <= size; i += sizeof(void*)) {
    std::uintptr_t word;
    std::memcpy(&word, static_cast<const std::byte*>(kernel) + i, sizeof word);
    unsigned char there;
    if (word >= here && word < here + bytes) continue;
    if (mincore(reinterpret_cast<void*>(word / page * page), 1, &there) == 0)
      refuse("a kernel's argument points to the host's memory");
  }
}
cudaError_t simulated_gpu::enqueue(CUstream_st* stream, std::function<void()> work) {
  if (fault_ != cudaSuccess) return fail(fault_);
  if (stream->device != current) return fail(cudaErrorInvalidResourceHandle);
  if (stream->recording)
    stream->recording->work.push_back(std::move(work));
  else
    stream->queue.push_back(std::move(work));
  return cudaSuccess;
}
void simulated_gpu::fault(int) { siglongjmp(here().out_, 1); }
cudaError_t simulated_gpu::run(CUstream_st& stream, std::size_t until) {
  if (fault_ != cudaSuccess) return fail(fault_);
  if (stream.done >= until) return cudaSuccess;
  // The host cannot touch the memory but here, and what goes wrong here is the device's fault, not the process's.
  struct sigaction ours {
  }, before;
  ours.sa_handler = fault;
  sigaction(SIGSEGV, &ours, &before);
  mprotect(memory_, used_, PROT_READ | PROT_WRITE);
  if (sigsetjmp(out_, 1) == 0) {
    for (; stream.done < until; ++stream.done) {
      if (!counts_alone()) stream.queue.front()();
      stream.queue.pop_front();
    }
  } else {
    fault_ = cudaErrorIllegalAddress;
  }
  if (in_use_ < large) mprotect(memory_, used_, PROT_NONE);
  sigaction(SIGSEGV, &before, nullptr);
  return fail(fault_);
}
cudaError_t simulated_gpu::wait(CUstream_st& stream) {
  waits += stream.queue.size() > 1;
  if (stream.recording) {
    stream.spoilt = true;
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  return finish(stream);
}

}  // namespace iapt::test
