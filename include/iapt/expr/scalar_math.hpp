// SPDX-License-Identifier: Apache-2.0
// Scalar functions that operations use and `<cmath>` lacks; vecs define their own.
#pragma once
#include <concepts>

#include "iapt/expr/vec_index.hpp"

namespace iapt {

/// The greater of two values.
template <std::floating_point T>
IAPT_DEVICE T maximum(T a, T b) {
  return a > b ? a : b;
}
/// The sign: −1, 0 or 1.
template <std::floating_point T>
IAPT_DEVICE T sign(T a) {
  return T(a > 0) - T(a < 0);
}
/// a where x > 0, else b.
template <std::floating_point T>
IAPT_DEVICE T where_positive(T x, T a, T b) {
  return x > 0 ? a : b;
}

}  // namespace iapt
