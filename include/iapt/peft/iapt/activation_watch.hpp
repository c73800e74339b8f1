// SPDX-License-Identifier: Apache-2.0
// Records the learned activations of a run: the range of their arguments, and how far their coefficients have moved.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "iapt/peft/iapt/method.hpp"

namespace iapt {

/// What a watch has recorded.
struct activation_report {
  double least = std::numeric_limits<double>::infinity();      ///< smallest argument z of any layer
  double greatest = -std::numeric_limits<double>::infinity();  ///< largest argument z
  double moved = 0;  ///< largest distance of a coefficient from its initial value; 0 if none is learned
};

/// Whether a method has activations to watch.
template <class Method>
concept has_activations = requires(Method& method) {
  method.watch_summary;
};

/// Records the pooled summaries of a method between begin() and end(), if it has any. The initial rational activation
/// is fitted on [−3, 3] only: arguments far outside show that a layer computes something else than was intended. Each
/// layer's summary is copied to the host, so a watch is meant for evaluations, not for training steps.
template <class Method>
class activation_watch {
 public:
  /// Stores the present coefficients for comparison. The method must outlive the watch.
  explicit activation_watch(Method& method) : method_(method), start_(coefficients()) {}
  activation_watch(const activation_watch&) = delete;
  activation_watch& operator=(const activation_watch&) = delete;
  ~activation_watch() { stop(); }

  /// Starts to record.
  void begin() {
    seen_ = {};
    if constexpr (has_activations<Method>)
      method_.watch_summary = [this](int, const auto& z) {
        for (const double x : to_host(z))
          seen_.least = std::min(seen_.least, x), seen_.greatest = std::max(seen_.greatest, x);
      };
  }
  /// Stops, and returns what was recorded since begin().
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
