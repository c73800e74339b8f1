// SPDX-License-Identifier: Apache-2.0
// Work that a GPU repeats by itself: a CUDA graph, and the memory that it was recorded with.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <map>
#include <memory>
#include <unordered_map>

#include "iapt/backend/cuda/error.cuh"

namespace iapt {

/// Memory of recorded work. It stays where it is as long as the recording, or a tensor in it, lives: the graph knows
/// its addresses.
class recording_memory {
 public:
  recording_memory() = default;
  recording_memory(const recording_memory&) = delete;
  recording_memory& operator=(const recording_memory&) = delete;
  ~recording_memory() {
    for (const auto& [p, bytes] : sizes_) cudaFree(p);
  }
  /// Memory of exactly this size, used before if there is any.
  /// @throws device_error if there is none
  void* take(std::size_t bytes) {
    if (const auto block = idle_.find(bytes); block != idle_.end()) {
      void* const p = block->second;
      idle_.erase(block);
      return p;
    }
    void* p = nullptr;
    cuda_check(cudaMalloc(&p, bytes), "memory for recorded work, " + std::to_string(bytes) + " bytes");
    sizes_[p] = bytes;
    return p;
  }
  /// Takes memory back.
  void give(void* p) { idle_.emplace(sizes_.at(p), p); }

 private:
  std::multimap<std::size_t, void*> idle_;
  std::unordered_map<void*, std::size_t> sizes_;
};

/// One piece of work that is done again and again; see cuda_backend::repeat.
class cuda_work {
  friend class cuda_backend;
  struct destroy {
    void operator()(CUgraphExec_st* graph) const { cudaGraphExecDestroy(graph); }
  };
  int runs_ = 0;
  std::shared_ptr<recording_memory> memory_;
  std::unique_ptr<CUgraphExec_st, destroy> graph_;
};

}  // namespace iapt
