// SPDX-License-Identifier: Apache-2.0
// CUDA's runtime, as far as the library calls it, on the simulated GPU.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "support/simulated_gpu/device.hpp"

using namespace iapt::test;
static simulated_gpu& gpu() { return simulated_gpu::here(); }
static std::map<const std::byte*, std::size_t> locked;  // page-locked memory of the host, by its beginning

// ---- the device ----
cudaError_t cudaGetDeviceCount(int* count) { return *count = simulated_gpu::count, cudaSuccess; }
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= simulated_gpu::count) return gpu().fail(cudaErrorInvalidDevice);
  return simulated_gpu::current = device, cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "a simulated GPU");
  properties->totalGlobalMem = simulated_gpu::bytes;
  properties->major = 9;  // Hopper
  properties->sharedMemPerBlockOptin = simulated_gpu::most_shared;
  properties->multiProcessorCount = 132;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(gpu().last, cudaSuccess); }
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
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return "another error";
  }
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const std::size_t most = simulated_gpu::most_shared - simulated_gpu::static_shared;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || std::size_t(value) > most)
    return gpu().fail(cudaErrorInvalidValue);
  return gpu().scratch[kernel] = std::size_t(value), cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  return *attributes = {}, attributes->ptxVersion = 90, cudaSuccess;
}

// ---- memory ----
// Work that is recorded must have its memory already: a graph that allocates could not be told from one that repeats.
static cudaError_t refused_while_recording() {
  cudaError_t status = cudaSuccess;
  for (CUstream_st* const stream : gpu().streams)
    if (stream->recording) stream->spoilt = true, status = cudaErrorStreamCaptureUnsupported;
  return gpu().fail(status);
}
// What is allocated in no stream's order waits for all of them.
static cudaStream_t all_streams() {
  for (CUstream_st* const stream : gpu().streams) gpu().finish(*stream);
  static CUstream_st own(0);
  return own.device = simulated_gpu::current, &own;
}
// New memory is full of NaN, and so is memory that has come back: where there is much, its first pages, for to have the
// pages that nobody uses would take longer than all the rest.
static cudaError_t spoil(void* p, std::size_t bytes, cudaStream_t stream) {
  bytes = std::min(bytes, std::size_t(1) << 20);
  return gpu().enqueue(stream, [=] { std::memset(p, 0xff, bytes); });
}
cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t stream) {
  if (const cudaError_t refused = refused_while_recording()) return refused;
  *p = gpu().allocate(bytes);
  if (!*p) return gpu().fail(cudaErrorMemoryAllocation);
  return spoil(*p, bytes, stream);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {  // what takes it next is enqueued behind this
  if (const cudaError_t refused = refused_while_recording()) return refused;
  const std::size_t bytes = gpu().release(p);
  return bytes ? spoil(p, bytes, stream) : gpu().fail(cudaErrorInvalidValue);
}
cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  const cudaStream_t stream = all_streams();
  const cudaError_t status = cudaMallocAsync(p, bytes, stream);
  return status == cudaSuccess ? gpu().finish(*stream) : status;
}
cudaError_t cudaFree(void* p) {
  const cudaStream_t stream = all_streams();
  const cudaError_t status = cudaFreeAsync(p, stream);
  return status == cudaSuccess ? gpu().finish(*stream) : status;
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
  *total = simulated_gpu::bytes, *free = *total - gpu().bytes_in_use();
  return gpu().fail(gpu().status());
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) { return *pool = nullptr, cudaSuccess; }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (kind != cudaMemcpyHostToDevice && !gpu().owns(from, bytes)) return gpu().fail(cudaErrorInvalidValue);
  if (kind != cudaMemcpyDeviceToHost && !gpu().owns(to, bytes)) return gpu().fail(cudaErrorInvalidValue);
  if (kind == cudaMemcpyHostToDevice && !within(locked, from, bytes))
    simulated_gpu::refuse("the host would wait for an upload from memory that is not page-locked");
  return gpu().enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t stream) {
  return cudaMemset2DAsync(p, bytes, value, bytes, 1, stream);
}
cudaError_t cudaMemset2DAsync(void* p, std::size_t pitch, int value, std::size_t width, std::size_t height,
                              cudaStream_t stream) {
  if (width == 0 || height == 0) return cudaSuccess;
  if (width > pitch || !gpu().owns(p, (height - 1) * pitch + width)) return gpu().fail(cudaErrorInvalidValue);
  return gpu().enqueue(stream, [=] {
    for (std::size_t i = 0; i < height; ++i) std::memset(static_cast<std::byte*>(p) + i * pitch, value, width);
  });
}

// ---- streams and events ----
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st(simulated_gpu::current);
  return gpu().streams.insert(*stream), cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  gpu().finish(*stream);
  gpu().streams.erase(stream);
  gpu().tidy();
  return delete stream, cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return gpu().wait(*stream); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return *event = new CUevent_st, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream, event->after = stream->done + stream->queue.size();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->stream ? gpu().run(*event->stream, event->after) : cudaSuccess;
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
  return gpu().fail(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long) {
  return *ready = new CUgraphExec_st{*graph}, cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  for (const auto& work : graph->work)
    if (const cudaError_t status = gpu().enqueue(stream, work)) return status;
  return cudaSuccess;
}
