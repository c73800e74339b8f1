// SPDX-License-Identifier: Apache-2.0
// Memory of a program that runs for long with many threads.
#pragma once
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif
#include <chrono>
#include <cstdint>

namespace program {

/// Has all threads share one heap. By itself glibc makes up to eight a core, of which each keeps free pages that the
/// others cannot use.
inline void share_heap() {
#ifdef M_ARENA_MAX
  ::mallopt(M_ARENA_MAX, 1);
#endif
}
/// Gives free pages of the heap back to the system.
inline void give_heap_back() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

/// Tells when a program that was at work has rested for a while.
class rest {
 public:
  /// After so long.
  explicit rest(std::chrono::seconds after) : after_(after) {}
  /// Whether now is such a moment, once for each rest; `work` counts what was done, `idle` says that nothing is at
  /// work.
  bool begins(std::uint64_t work, bool idle) {
    if (work != work_ || !idle) work_ = work, since_ = clock::now(), told_ = false;
    if (told_ || clock::now() < since_ + after_) return false;
    return told_ = true;
  }

 private:
  using clock = std::chrono::steady_clock;
  std::chrono::seconds after_;
  std::uint64_t work_ = 0;
  clock::time_point since_ = clock::now();
  bool told_ = true;  // nothing was done yet
};

}  // namespace program
