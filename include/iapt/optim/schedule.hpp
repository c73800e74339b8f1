// SPDX-License-Identifier: Apache-2.0
// Learning rate schedules: warm-up, then constant, linear or cosine decay.
#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"
#include "iapt/core/shape.hpp"

namespace iapt {

/// How the learning rate changes after the warm-up.
enum class decay {
  constant,  ///< it stays the same
  linear,    ///< it falls linearly to 0
  cosine,    ///< it falls to 0 in half a cosine wave
};

/// The decay of this name: "constant", "linear" or "cosine".
/// @throws error for any other name
inline decay decay_of(std::string_view name) {
  if (name == "constant") return decay::constant;
  if (name == "linear") return decay::linear;
  if (name == "cosine") return decay::cosine;
  throw error("schedule: there is no decay \"" + std::string(name) + "\"; choose constant, linear or cosine");
}

/// Number of warm-up steps: a fraction of all steps, rounded up.
inline index_t warm_up_steps(index_t steps, double fraction) {
  return index_t(std::ceil(std::clamp(fraction, 0.0, 1.0) * double(steps) - 1e-9));
}

/// The factor of the learning rate at each step. It rises to 1 in equal parts and is above 0 at the first step. Then it
/// falls: it would be 0 at the step after the last.
struct schedule {
  decay shape = decay::linear;  ///< decay after the warm-up
  index_t steps = 1;            ///< number of planned steps
  index_t warm_up = 0;          ///< number of steps before the factor is 1

  /// The factor for step 0..steps−1; 0 beyond them if there is a decay.
  double operator()(index_t step) const {
    if (step < warm_up) return double(step + 1) / double(warm_up + 1);
    if (shape == decay::constant) return 1;
    if (step >= steps) return 0;
    const double done = double(step - warm_up) / double(steps - warm_up);
    return shape == decay::linear ? 1 - done : 0.5 * (1 + std::cos(std::numbers::pi * done));
  }
};

}  // namespace iapt
