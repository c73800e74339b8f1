// SPDX-License-Identifier: Apache-2.0
// The first SIGINT (Ctrl-C) or SIGTERM asks a run to end; a second one ends the program.
#pragma once
#include <csignal>
#include <vector>

namespace iapt {

/// While it exists, the first SIGINT or SIGTERM only sets a flag, which a loop reads between two steps. The second one
/// has its default action. Only one guard may exist at a time, because a process has one handler for a signal. The
/// thread that creates it must destroy it.
///
/// The handler has a stack of its own. oneDNN's matmuls (before 3.12) keep their stack pointer inside heap memory; a
/// handler on the ordinary stack would overwrite neighbouring memory there (oneDNN, issue 4845). The system sends a
/// process's signals to its first thread if it can, so create the guard there.
class interrupt_guard {
 public:
  /// Installs the handlers.
  interrupt_guard() : stack_(1 << 16) {
    raised_ = 0;
    stack_t own{};
    own.ss_sp = stack_.data(), own.ss_size = stack_.size();
    ::sigaltstack(&own, &before_stack_);
    struct sigaction action {};
    action.sa_handler = [](int) { raised_ = 1; };
    sigemptyset(&action.sa_mask);
    // RESETHAND: the second signal has its default action.
    action.sa_flags = SA_RESETHAND | SA_RESTART | SA_ONSTACK;
    ::sigaction(SIGINT, &action, &before_int_);
    ::sigaction(SIGTERM, &action, &before_term_);
  }
  /// Restores the earlier handlers.
  ~interrupt_guard() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
    ::sigaltstack(&before_stack_, nullptr);
  }
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;

  /// Whether a signal has arrived.
  bool raised() const { return raised_ != 0; }

 private:
  static inline volatile std::sig_atomic_t raised_ = 0;
  std::vector<char> stack_;
  stack_t before_stack_{};
  struct sigaction before_int_ {
  }, before_term_{};
};

}  // namespace iapt
