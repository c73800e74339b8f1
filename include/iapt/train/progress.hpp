// SPDX-License-Identifier: Apache-2.0
// The progress of a run: a progress bar on a terminal, otherwise a plain line every few seconds.
#pragma once
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "iapt/core/shape.hpp"

namespace iapt {

/// The progress of a run.
struct progress_state {
  index_t step = 0;                ///< steps done
  index_t steps = 0;               ///< steps planned
  double loss = 0;                 ///< loss of the last batch, in nats per response token
  std::optional<double> dev_loss;  ///< loss of the last evaluation
  double tokens_per_second = 0;    ///< tokens trained on per second
  double seconds_left = 0;         ///< time until all steps are done, at this speed
};

/// A duration as text: "1:02:03" or "2:03".
inline std::string clock_text(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "?";
  const long all = std::lround(seconds), hours = all / 3600;
  char text[40];
  if (hours)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", hours, all / 60 % 60, all % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", all / 60, all % 60);
  return text;
}

/// The progress as text: "12/400  loss 0.532  dev 0.611  186 tokens/s  1:23 left".
inline std::string to_text(const progress_state& state) {
  char numbers[120];
  std::snprintf(numbers, sizeof numbers, "  loss %.4g", state.loss);
  std::string text = std::to_string(state.step) + "/" + std::to_string(state.steps) + numbers;
  if (state.dev_loss) std::snprintf(numbers, sizeof numbers, "  dev %.4g", *state.dev_loss), text += numbers;
  std::snprintf(numbers, sizeof numbers, "  %.0f tokens/s  ", state.tokens_per_second);
  return text + numbers + clock_text(state.seconds_left) + " left";
}

/// Shows the progress of a run.
class progress_bar {
 public:
  /// Returns seconds since any fixed time.
  using clock = std::function<double()>;
  /// A terminal.
  struct terminal {
    std::function<int()> columns;  ///< returns its present width
  };

  /// Writes to a stream: in place on a terminal; without one, a line every `seconds`.
  explicit progress_bar(std::ostream& out, std::optional<terminal> screen = {}, double seconds = 10,
                        clock now = steady_seconds)
      : out_(out), screen_(std::move(screen)), seconds_(seconds), now_(std::move(now)) {}
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  ~progress_bar() { clear(); }

  /// The standard error stream, if it is a terminal.
  static std::optional<terminal> standard_error() {
    if (!::isatty(STDERR_FILENO)) return {};
    return terminal{[] {
      winsize size{};
      return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? int(size.ws_col) : 80;
    }};
  }

  /// Shows a state, on a terminal at most ten times a second. The last step is always shown.
  void show(const progress_state& state) {
    const double now = now_();
    const bool due = !shown_ || now - *shown_ >= (screen_ ? 0.1 : seconds_) || state.step >= state.steps;
    if (!due) return;
    shown_ = now;
    if (screen_)
      out_ << '\r' << line(state, screen_->columns()) << "\x1b[K" << std::flush;
    else
      out_ << "step " << to_text(state) << '\n' << std::flush;
    drawn_ = screen_.has_value();
  }
  /// Writes a line of text above the bar.
  void say(const std::string& text) {
    clear();
    out_ << text << '\n' << std::flush;
  }
  /// Erases the bar; the next state draws it again.
  void clear() {
    if (std::exchange(drawn_, false)) out_ << "\r\x1b[K" << std::flush;
    if (screen_) shown_.reset();
  }

 private:
  static double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  // The bar's line. It leaves the last column empty, where some terminals would start a new line.
  static std::string line(const progress_state& state, int columns) {
    const std::string text = to_text(state);
    const int room = columns - 1 - int(text.size()) - 3;
    std::string bar;
    if (room >= 8) {
      const int width = std::min(room, 30);
      const double done = state.steps ? double(state.step) / double(state.steps) : 1;
      const int full = std::clamp(int(done * width), 0, width);
      bar = "[" + std::string(std::size_t(full), '=') + std::string(std::size_t(width - full), ' ') + "] ";
    }
    return (bar + text).substr(0, std::size_t(std::max(columns - 1, 0)));
  }

  std::ostream& out_;
  std::optional<terminal> screen_;
  double seconds_;
  clock now_;
  std::optional<double> shown_;
  bool drawn_ = false;
};

}  // namespace iapt
