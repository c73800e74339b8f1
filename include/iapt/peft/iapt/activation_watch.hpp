// SPDX-License-Identifier: Apache-2.0
// Watches the learned activations of a run: where their arguments lie, and how far their coefficients have moved.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "iapt/peft/iapt/method.hpp"

namespace iapt {

/// What became of a method's activations.
struct activation_report {
  double least = std::numeric_limits<double>::infinity();      ///< smallest argument z seen in any layer
  double greatest = -std::numeric_limits<double>::infinity();  ///< greatest
  double moved = 0;  ///< largest distance of a coefficient from its start; 0 where none is learned
};

/// Whether a method has learned activations to watch.
template <class Method>
concept has_activations = requires(Method& method) {
  method.watch_summary;
};

/// Sees the pooled summaries of a method between begin() and end(); nothing where it has none. The start of a rational
/// activation is fitted on [−3, 3] only, so arguments far outside tell that a layer computes something else than was
/// meant. Reading them costs a copy to the host for each layer: made for evaluations, not for training steps.
template <class Method>
class activation_watch {
 public:
  /// Remembers the coefficients as they are now. The method must outlive the watch.
  explicit activation_watch(Method& method) : method_(method), start_(coefficients()) {}
  activation_watch(const activation_watch&) = delete;
  activation_watch& operator=(const activation_watch&) = delete;
  ~activation_watch() { stop(); }

  /// Watches from here on.
  void begin() {
    seen_ = {};
    if constexpr (has_activations<Method>)
      method_.watch_summary = [this](int, const auto& z) {
        for (const double x : to_host(z))
          seen_.least = std::min(seen_.least, x), seen_.greatest = std::max(seen_.greatest, x);
      };
  }
  /// What was seen since begin().
  activation_report end() {
    stop();
    const std::vector<double> now = coefficients();
    for (std::size_t i = 0; i < now.size(); ++i) seen_.moved = std::max(seen_.moved, std::abs(now[i] - start_[i]));
    return seen_;
  }

 private:
  void stop() {
    if constexpr (has_activations<Method>) method_.watch_summary = nullptr;
  }
  std::vector<double> coefficients() {
    std::vector<double> all;
    for (const auto& p : method_.parameters())
      if (p.group == parameter_group::coefficients)
        for (const double c : to_host(p.values)) all.push_back(c);
    return all;
  }
  Method& method_;
  std::vector<double> start_;
  activation_report seen_;
};

}  // namespace iapt
