// SPDX-License-Identifier: Apache-2.0
// Work that a GPU repeats: a CUDA graph and the memory that it was recorded with.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <map>
#include <memory>
#include <unordered_map>

#include "iapt/backend/pool.hpp"
#include "iapt/core/error.hpp"

namespace iapt {

class cuda_backend;

/// Memory of recorded work. It returns to the pool when neither the recording nor a tensor in it exists any more: until
/// then its addresses stay valid, because the graph has them.
template <class Backend>
class recording_memory {
 public:
  /// Allocates no memory yet.
  explicit recording_memory(memory_pool<Backend>& pool) : pool_(pool) {}
  recording_memory(const recording_memory&) = delete;
  recording_memory& operator=(const recording_memory&) = delete;
  ~recording_memory() {
    for (const auto& [p, bytes] : sizes_) pool_.deallocate(p, bytes);
  }
  /// Memory of exactly this size, reused if possible.
  /// @throws device_error if there is none to reuse, and `may_grow` is false
  void* allocate(index_t bytes, bool may_grow) {
    if (const auto block = idle_.find(bytes); block != idle_.end()) return idle_.extract(block).mapped();
    if (!may_grow) throw device_error("cuda: recorded work must not need more memory than it did before");
    std::byte* const p = pool_.template allocate<std::byte>(bytes);
    sizes_[p] = bytes;
    return p;
  }
  /// Keeps memory for reuse.
  void deallocate(void* p) {
    const auto block = static_cast<std::byte*>(p);
    idle_.emplace(sizes_.at(block), block);
  }

 private:
  memory_pool<Backend>& pool_;
  std::multimap<index_t, std::byte*> idle_;
  std::unordered_map<std::byte*, index_t> sizes_;
};

/// Work that is repeated; see cuda_backend::repeat. The backend must outlive it.
class cuda_work {
  friend class cuda_backend;
  struct destroy {
    void operator()(CUgraphExec_st* graph) const { cudaGraphExecDestroy(graph); }
  };
  int runs_ = 0;
  std::shared_ptr<recording_memory<cuda_backend>> memory_;
  std::unique_ptr<CUgraphExec_st, destroy> graph_;
};

}  // namespace iapt
