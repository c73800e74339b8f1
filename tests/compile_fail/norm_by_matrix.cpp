// SPDX-License-Identifier: Apache-2.0
// The weight of a norm is a vector.
// expect: expression_of_rank
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/rms_norm.hpp>

using machine = iapt::eigen_backend;

auto normed(const iapt::tensor<float, 2, machine>& x, const iapt::tensor<float, 2, machine>& w) {
#ifdef CORRECT
  return rms_norm(x, w.flat());
#else
  return rms_norm(x, w);
#endif
}
