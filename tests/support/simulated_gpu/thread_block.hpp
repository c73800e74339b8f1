// SPDX-License-Identifier: Apache-2.0
// A GPU's block of threads, simulated on the host so that its synchronisation is tested: each thread is a fiber,
// which runs until it meets a barrier; between two barriers they run one after another in an order that changes every
// time. So a value that another thread has yet to write, or has overwritten, is seen as a wrong result.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <utility>

namespace iapt::test {

/// Some fibers that run the same function. There is one such block, for one host thread.
class thread_block {
 public:
  /// This one.
  static thread_block& here() { return only_; }
  /// Number of the thread that runs.
  unsigned thread() const { return running_; }
  /// How many barriers there have been, in all.
  unsigned phase() const { return phase_; }
  /// Runs f() on that many of them.
  template <class F>
  void run(unsigned threads, const F& f) {
    call_ = [](const void* what) { (*static_cast<const F*>(what))(); };
    what_ = &f;
    while (fibers_.size() < threads) make(fibers_.emplace_back());
    for (unsigned left = threads; left > 0; ++phase_) {
      const unsigned before = left;
      // From any thread on, forwards or backwards.
      seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
      running_ = unsigned((seed_ >> 33) % threads);
      const unsigned step = seed_ >> 32 & 1 ? 1 : threads - 1;
      for (unsigned i = 0; i < threads; ++i) {
        resume();
        left -= std::exchange(fibers_[running_].ended, false);
        running_ += step;
        if (running_ >= threads) running_ -= threads;
      }
      if (left != before && left != 0) stray();
    }
  }
  /// The same for an f that has no barrier: one after another, the last one first.
  template <class F>
  void run_apart(unsigned threads, const F& f) {
    for (running_ = threads; running_-- > 0;) f();
  }
  /// Called by a fiber: all others come here, too, before it goes on.
  void barrier() { leave(); }

 private:
  static constexpr std::size_t stack_bytes = 128 << 10;
  struct fiber {
    ucontext_t beginning;  // where it is entered for the first time
    jmp_buf place;         // where it goes on: ten times as fast as a ucontext_t, which the kernel has a part in
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    bool entered = false, ended = false;
  };
  static void make(fiber& made) {
    getcontext(&made.beginning);
    made.beginning.uc_stack.ss_sp = made.stack.get(), made.beginning.uc_stack.ss_size = stack_bytes;
    made.beginning.uc_link = nullptr;  // it never ends
    makecontext(&made.beginning, &thread_block::enter, 0);
  }
  // A fiber's life: what it is asked for, again and again.
  static void enter() {
    for (;;) {
      only_.call_(only_.what_);
      only_.fibers_[only_.running_].ended = true;
      only_.leave();
    }
  }
  [[gnu::noinline]] void resume() {
    if (_setjmp(caller_)) return;
    fiber& next = fibers_[running_];
    if (std::exchange(next.entered, true)) _longjmp(next.place, 1);
    setcontext(&next.beginning);
  }
  [[gnu::noinline]] void leave() {
    if (!_setjmp(fibers_[running_].place)) _longjmp(caller_, 1);
  }
  [[noreturn]] static void stray() {  // on a GPU the block would hang
    std::fputs("thread_block: some threads wait at a barrier that others never reach\n", stderr);
    std::abort();
  }
  static thread_block only_;
  std::deque<fiber> fibers_;
  jmp_buf caller_;
  std::uint64_t seed_ = 1;
  unsigned running_ = 0, phase_ = 0;
  void (*call_)(const void*) = nullptr;
  const void* what_ = nullptr;
};
inline thread_block thread_block::only_;

}  // namespace iapt::test
