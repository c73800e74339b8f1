// SPDX-License-Identifier: Apache-2.0
// A memory pool: a training step allocates the same sizes again and again.
#pragma once
#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <unordered_map>

#include "iapt/core/shape.hpp"

namespace iapt {

/// Keeps freed memory for later allocations: new pages would cost more time than the arithmetic. `Self` has
/// allocate_raw(bytes) and deallocate_raw(pointer). Several threads may use the pool: a tenant's adapter is read while
/// other tenants are served.
template <class Self>
class memory_pool {
 public:
  memory_pool() = default;
  memory_pool(const memory_pool&) = delete;
  memory_pool& operator=(const memory_pool&) = delete;

  /// Allocates uninitialized memory for n elements.
  /// @throws device_error if there is none
  template <class T>
  T* allocate(index_t n) {
    const std::size_t bytes = rounded(n * sizeof(T));
    const std::lock_guard lock(mutex_);
    auto block = idle_.lower_bound(bytes);
    void* p;
    if (block != idle_.end() && block->first <= bytes + bytes / 4) {
      p = block->second, sizes_[p] = block->first, idle_bytes_ -= block->first;
      idle_.erase(block);
    } else {
      // Idle blocks that fit no request must not accumulate when shapes vary from step to step.
      while (!idle_.empty() && in_use_ + idle_bytes_ + bytes > peak_ + peak_ / 8) drop(idle_.begin());
      p = static_cast<Self*>(this)->allocate_raw(bytes);
      sizes_[p] = bytes;
    }
    in_use_ += sizes_[p];
    peak_ = std::max(peak_, in_use_);
    return static_cast<T*>(p);
  }
  /// Frees memory; `n` as in allocate().
  template <class T>
  void deallocate(T* p, index_t) {
    const std::lock_guard lock(mutex_);
    const auto block = sizes_.find(p);
    in_use_ -= block->second, idle_bytes_ += block->second;
    idle_.emplace(block->second, p);
    sizes_.erase(block);
  }
  /// Number of bytes in use.
  std::size_t bytes_in_use() const {
    const std::lock_guard lock(mutex_);
    return in_use_;
  }
  /// The greatest number of bytes that were in use at once.
  std::size_t peak_bytes() const {
    const std::lock_guard lock(mutex_);
    return peak_;
  }
  /// Returns all idle memory to the system or the device.
  void trim() {
    const std::lock_guard lock(mutex_);
    while (!idle_.empty()) drop(idle_.begin());
  }

 protected:
  mutable std::recursive_mutex mutex_;  ///< recursive: allocate_raw() may call trim(). `Self` locks it, too

 private:
  static std::size_t rounded(std::size_t bytes) { return (std::max<std::size_t>(bytes, 1) + 63) / 64 * 64; }
  void drop(std::multimap<std::size_t, void*>::iterator block) {
    static_cast<Self*>(this)->deallocate_raw(block->second);
    idle_bytes_ -= block->first;
    idle_.erase(block);
  }
  std::multimap<std::size_t, void*> idle_;
  std::unordered_map<void*, std::size_t> sizes_;
  std::size_t in_use_ = 0, idle_bytes_ = 0, peak_ = 0;
};

}  // namespace iapt
