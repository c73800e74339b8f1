// SPDX-License-Identifier: Apache-2.0
// An expression computes nothing: to read its numbers, a context must evaluate it.
// expect: no matching function for call to 'to_host|no matching function for call to ‘to_host
#include <iapt/autograd/tape.hpp>
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/core/tensor.hpp>
#include <iapt/ops/arithmetic.hpp>
#include <vector>

std::vector<float> doubled(iapt::eigen_backend& backend, const iapt::tensor<float, 1, iapt::eigen_backend>& x) {
  iapt::inference run{backend};
#ifdef CORRECT
  return to_host(run(x + x));
#else
  (void)run;
  return to_host(x + x);
#endif
}
