// SPDX-License-Identifier: Apache-2.0
// Memory of a program that runs for a long time with many threads.
#pragma once
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif
#include <chrono>
#include <cstdint>

namespace program {

/// Makes all threads use one heap. By default glibc creates up to eight heaps for each core, and each keeps free pages
/// that the others cannot use.
inline void share_heap() {
#ifdef M_ARENA_MAX
  ::mallopt(M_ARENA_MAX, 1);
#endif
}
/// Gives free pages of the heap back to the operating system.
inline void give_heap_back() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

/// Detects that a program has been idle for some time after work.
class rest {
 public:
  /// @param after how long it must be idle
  explicit rest(std::chrono::seconds after) : after_(after) {}
  /// Whether it has been idle for long enough; true once for each idle time.
  /// @param work a count of what was done so far
  /// @param idle whether nothing runs now
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
  bool told_ = true;  // nothing has been done yet
};

}  // namespace program
