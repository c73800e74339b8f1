// SPDX-License-Identifier: Apache-2.0
// Ctrl-C asks a run to end; a second one ends the program.
#pragma once
#include <csignal>
#include <vector>

namespace iapt {

/// While it lives, the first SIGINT or SIGTERM only leaves a mark, which a loop asks for between two steps. The second
/// does what it would have done without it. There may be one at a time, because a process has one handler for a signal,
/// and the thread that makes it must end it.
///
/// The handler has a stack of its own. oneDNN's products (before 3.12) keep their stack pointer inside of memory from
/// the heap, where a handler on the ordinary stack would write over their neighbours (oneDNN, issue 4845). The system
/// gives a process's signals to its first thread where it can, so make the guard there.
class interrupt_guard {
 public:
  /// Puts the handlers in place.
  interrupt_guard() : stack_(1 << 16) {
    raised_ = 0;
    stack_t own{};
    own.ss_sp = stack_.data(), own.ss_size = stack_.size();
    ::sigaltstack(&own, &before_stack_);
    struct sigaction action {};
    action.sa_handler = [](int) { raised_ = 1; };
    sigemptyset(&action.sa_mask);
    // RESETHAND: the second signal finds the default again.
    action.sa_flags = SA_RESETHAND | SA_RESTART | SA_ONSTACK;
    ::sigaction(SIGINT, &action, &before_int_);
    ::sigaction(SIGTERM, &action, &before_term_);
  }
  /// Puts back the handlers that were there.
  ~interrupt_guard() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
    ::sigaltstack(&before_stack_, nullptr);
  }
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;

  /// Whether a signal has come.
  bool raised() const { return raised_ != 0; }

 private:
  static inline volatile std::sig_atomic_t raised_ = 0;
  std::vector<char> stack_;
  stack_t before_stack_{};
  struct sigaction before_int_ {
  }, before_term_{};
};

}  // namespace iapt
