// SPDX-License-Identifier: Apache-2.0
// A GPU's block of threads, played on the host so that what its threads owe each other is tested where there is no GPU:
// each is a fiber, which runs until it meets a barrier; between two barriers they run one after another in an order
// that changes every time. So a value that another thread has yet to write, or has overwritten, is seen as a wrong
// result.
#pragma once
#include <ucontext.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

#include "iapt/backend/thrust/backend.hpp"

namespace iapt::test {

/// Some fibers of one host thread that run the same function.
class fiber_block {
 public:
  static constexpr int threads = 5;  ///< not a divisor of anything that kernels count in

  /// The block of this host thread.
  static fiber_block& here() {
    thread_local fiber_block block;
    return block;
  }
  /// Runs f(thread) on all of them.
  template <class F>
  void run(const F& f) {
    call_ = [](const void* what, int thread) { (*static_cast<const F*>(what))(thread); };
    what_ = &f;
    for (fiber& each : fibers_) {
      getcontext(&each.context);
      each.context.uc_stack.ss_sp = each.stack.get(), each.context.uc_stack.ss_size = stack_bytes;
      each.context.uc_link = &caller_, each.ended = false;
      makecontext(&each.context, &fiber_block::enter, 0);
    }
    for (int left = threads; left > 0;) {
      const int before = left;
      shuffle();
      for (const int thread : order_) {
        running_ = thread;
        swapcontext(&caller_, &fibers_[thread].context);
        left -= fibers_[thread].ended;
      }
      if (left != before && left != 0) stray();
    }
  }
  /// Called by a fiber: all others come here, too, before it goes on.
  void barrier() { swapcontext(&fibers_[running_].context, &caller_); }
  /// One value of all threads, combined in their order.
  template <class T, class Combine>
  T reduce(int thread, T own, Combine combine) {
    T* const values = reinterpret_cast<T*>(values_.data());
    values[thread] = own;
    barrier();
    T all = values[0];
    for (int i = 1; i < threads; ++i) all = combine(all, values[i]);
    barrier();  // the memory is free for the next one
    return all;
  }

 private:
  fiber_block() { std::iota(order_.begin(), order_.end(), 0); }
  static constexpr std::size_t stack_bytes = 256 << 10;
  struct fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    bool ended;
  };
  static void enter() {
    fiber_block& block = here();
    const int thread = block.running_;
    block.call_(block.what_, thread);
    block.fibers_[thread].ended = true;
  }
  void shuffle() {
    for (int i = threads - 1; i > 0; --i) {
      seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
      std::swap(order_[i], order_[(seed_ >> 33) % std::uint64_t(i + 1)]);
    }
  }
  [[noreturn]] static void stray() {  // on a GPU the block would hang
    std::fputs("fiber_block: some threads wait at a barrier that others never reach\n", stderr);
    std::abort();
  }
  std::array<fiber, threads> fibers_;
  std::array<int, threads> order_;
  alignas(16) std::array<double, threads> values_;
  ucontext_t caller_;
  std::uint64_t seed_ = 1;
  int running_ = 0;
  void (*call_)(const void*, int) = nullptr;
  const void* what_ = nullptr;
};

/// The group that runs a row kernel as a fiber_block: what block_group is on a GPU.
template <class T>
struct fiber_group {
  T* scratch;  ///< memory of the group's own, for a kernel that asks for it (scratch())
  int thread;  ///< which thread of the block this is

  /// Calls f(lane) for every column 0..n-1.
  template <class F>
  void each(extent n, F f) const {
    for (extent j = thread; j < n; j += fiber_block::threads) f(lane<T>{j});
  }
  /// Σ f(lane) over every column.
  template <class F>
  T sum(extent n, F f) const {
    T own(0);
    each(n, [&](auto j) { own = own + f(j); });
    return fiber_block::here().reduce(thread, own, [](T a, T b) { return a + b; });
  }
  /// The greatest f(lane) over every column, or `start`.
  template <class F>
  T max(extent n, T start, F f) const {
    T own = start;
    each(n, [&](auto j) {
      const T x = f(j);
      own = x > own ? x : own;
    });
    return fiber_block::here().reduce(thread, own, [](T a, T b) { return a > b ? a : b; });
  }
  /// Does something once for the whole group: after all that it did before, and before all that follows.
  template <class F>
  void once(F f) const {
    barrier();
    if (thread == 0) f();
    barrier();
  }
  /// What any member wrote before is seen by all members after.
  void barrier() const { fiber_block::here().barrier(); }
};

/// Row kernel k, by a block of fibers.
template <class F>
struct fiber_group_of {
  using T = compute_type<typename F::value_type>;  ///< what it computes in
  F f;                                             ///< the kernel
  T* scratch;                                      ///< memory of all host threads' groups, or null
  extent share;                                    ///< numbers that each host thread has of it
  /// Group k, with nothing in its memory.
  void operator()(extent k) const {
    for (extent i = 0; i < share; ++i) scratch[i] = std::numeric_limits<T>::quiet_NaN();
    fiber_block::here().run([&](int thread) { f(fiber_group<T>{scratch, thread}, k); });
  }
};

/// Thrust on the host, with blocks of several threads.
using block_backend = thrust_backend<thrust::cpp::tag, fiber_group_of>;

}  // namespace iapt::test
