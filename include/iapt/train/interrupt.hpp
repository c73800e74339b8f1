// SPDX-License-Identifier: Apache-2.0
// Ctrl-C asks a run to end; a second one ends the program.
#pragma once
#include <csignal>

namespace iapt {

/// While it lives, the first SIGINT or SIGTERM only leaves a mark, which a loop asks for between two steps. The second
/// does what it would have done without it. There may be one at a time, because a process has one handler for a signal.
class interrupt_guard {
 public:
  /// Puts the handlers in place.
  interrupt_guard() {
    raised_ = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { raised_ = 1; };
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESETHAND | SA_RESTART;  // RESETHAND: the second signal finds the default again
    ::sigaction(SIGINT, &action, &before_int_);
    ::sigaction(SIGTERM, &action, &before_term_);
  }
  /// Puts back the handlers that were there.
  ~interrupt_guard() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
  }
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;

  /// Whether a signal has come.
  bool raised() const { return raised_ != 0; }

 private:
  static inline volatile std::sig_atomic_t raised_ = 0;
  struct sigaction before_int_ {
  }, before_term_{};
};

}  // namespace iapt
