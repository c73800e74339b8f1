// SPDX-License-Identifier: Apache-2.0
// CUDA's runtime, as far as the library calls it, on a GPU that is not there.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "support/simulated_gpu/device.hpp"

namespace iapt::test {
namespace {

/// Bytes in use from which on the host is not kept out: every page that is written would be a fault, again and again.
constexpr std::size_t large = std::size_t(64) << 20;
/// Page-locked memory of the host, by its beginning.
std::map<const std::byte*, std::size_t> locked;

/// What a GPU would do silently and slowly, or not at all.
[[noreturn]] void refuse(const char* what) {
  std::fprintf(stderr, "simulated_gpu: %s\n", what);
  std::abort();
}
/// Runs all that a stream has, as somebody waits for it who is not counted.
cudaError_t finish(CUstream_st& stream) { return simulated_gpu::here().run(stream, stream.done + stream.queue.size()); }
/// Whether all of it lies in one of these pieces.
template <class Pieces>
bool within(const Pieces& pieces, const void* p, std::size_t bytes) {
  const auto at = static_cast<const std::byte*>(p);
  auto next = pieces.upper_bound(at);
  if (next == pieces.begin()) return false;
  const auto& [begin, size] = *--next;
  return at + bytes <= static_cast<const std::byte*>(begin) + size;
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
bool simulated_gpu::release(void* p) {
  const auto block = blocks_.find(p);
  if (block == blocks_.end()) return false;
  idle_.emplace(block->second, p), in_use_ -= block->second;
  blocks_.erase(block);
  const auto at_rest = [](const CUstream_st* stream) { return stream->queue.empty(); };
  if (blocks_.empty() && std::all_of(streams.begin(), streams.end(), at_rest)) {  // begin anew: less to protect
    mprotect(memory_, used_, PROT_NONE);
    madvise(memory_, used_, MADV_DONTNEED);
    idle_.clear(), used_ = 0;
  }
  return true;
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
cudaError_t simulated_gpu::queue(CUstream_st* stream, std::function<void()> work) {
  if (fault_ != cudaSuccess) return fail(fault_);
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
      stream.queue.front()();
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

using namespace iapt::test;

// ---- the device ----
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "a simulated GPU");
  properties->totalGlobalMem = simulated_gpu::bytes;
  properties->major = 9;  // Hopper
  properties->sharedMemPerBlockOptin = 227 << 10;
  properties->multiProcessorCount = 132;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(simulated_gpu::here().last, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return "another error";
  }
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value > 227 << 10)
    return simulated_gpu::here().fail(cudaErrorInvalidValue);
  return simulated_gpu::here().scratch[kernel] = std::size_t(value), cudaSuccess;
}

// ---- memory ----
// Work that is recorded must have its memory already: a graph that allocates could not be told from one that repeats.
static cudaError_t refused_while_recording() {
  cudaError_t status = cudaSuccess;
  for (CUstream_st* const stream : simulated_gpu::here().streams)
    if (stream->recording) stream->spoilt = true, status = cudaErrorStreamCaptureUnsupported;
  return simulated_gpu::here().fail(status);
}
// New memory is full of NaN.
cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t stream) {
  if (const cudaError_t refused = refused_while_recording()) return refused;
  *p = simulated_gpu::here().allocate(bytes);
  if (!*p) return simulated_gpu::here().fail(cudaErrorMemoryAllocation);
  return cudaMemsetAsync(*p, 0xff, bytes, stream);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t) {  // what takes it next is queued behind what was queued before
  return simulated_gpu::here().release(p) ? cudaSuccess : simulated_gpu::here().fail(cudaErrorInvalidValue);
}
cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  if (const cudaError_t refused = refused_while_recording()) return refused;
  *p = simulated_gpu::here().allocate(bytes);
  return *p ? cudaSuccess : simulated_gpu::here().fail(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* p) {  // waits for the device
  if (const cudaError_t refused = refused_while_recording()) return refused;
  for (CUstream_st* const stream : simulated_gpu::here().streams) finish(*stream);
  return cudaFreeAsync(p, nullptr);
}
cudaError_t cudaMallocHost(void** p, std::size_t bytes) {
  *p = std::malloc(bytes);
  return locked.emplace(static_cast<std::byte*>(*p), bytes), cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  locked.erase(static_cast<std::byte*>(p));
  return std::free(p), cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = simulated_gpu::bytes, *free = *total - simulated_gpu::here().bytes_in_use();
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) { return *pool = nullptr, cudaSuccess; }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  simulated_gpu& device = simulated_gpu::here();
  if (bytes == 0) return cudaSuccess;
  if (kind != cudaMemcpyHostToDevice && !device.owns(from, bytes)) return device.fail(cudaErrorInvalidValue);
  if (kind != cudaMemcpyDeviceToHost && !device.owns(to, bytes)) return device.fail(cudaErrorInvalidValue);
  if (kind == cudaMemcpyHostToDevice && !within(locked, from, bytes))
    refuse("the host would wait for an upload from memory that is not page-locked");
  return device.queue(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t stream) {
  return cudaMemset2DAsync(p, bytes, value, bytes, 1, stream);
}
cudaError_t cudaMemset2DAsync(void* p, std::size_t pitch, int value, std::size_t width, std::size_t height,
                              cudaStream_t stream) {
  simulated_gpu& device = simulated_gpu::here();
  if (width == 0 || height == 0) return cudaSuccess;
  if (width > pitch || !device.owns(p, (height - 1) * pitch + width)) return device.fail(cudaErrorInvalidValue);
  return device.queue(stream, [=] {
    for (std::size_t i = 0; i < height; ++i) std::memset(static_cast<std::byte*>(p) + i * pitch, value, width);
  });
}

// ---- streams and events ----
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return simulated_gpu::here().streams.insert(*stream), cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  finish(*stream);
  simulated_gpu::here().streams.erase(stream);
  return delete stream, cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return simulated_gpu::here().wait(*stream); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return *event = new CUevent_st, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream, event->after = stream->done + stream->queue.size();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->stream ? simulated_gpu::here().run(*event->stream, event->after) : cudaSuccess;
}

// ---- graphs ----
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->recording = new CUgraph_st, stream->spoilt = false;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = std::exchange(stream->recording, nullptr);
  if (!stream->spoilt) return cudaSuccess;
  delete std::exchange(*graph, nullptr);
  return simulated_gpu::here().fail(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long) {
  return *ready = new CUgraphExec_st{graph->work}, cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  for (const auto& work : graph->work)
    if (const cudaError_t status = simulated_gpu::here().queue(stream, work)) return status;
  return cudaSuccess;
}
