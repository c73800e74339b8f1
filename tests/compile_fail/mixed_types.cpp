// SPDX-License-Identifier: Apache-2.0
// One statement computes in one type of number.
// expect: operands of one statement differ in their type of number
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/arithmetic.hpp>

using machine = iapt::eigen_backend;

auto total(const iapt::tensor<float, 1, machine>& x, const iapt::tensor<double, 1, machine>& y) {
#ifdef CORRECT
  return x + x * 2.5 + iapt::from_host(x.backend(), y.shape(), std::vector<float>(y.size()));
#else
  return x + y;
#endif
}
