// SPDX-License-Identifier: Apache-2.0
// A product is one of matrices: the operand of another rank is named, not read beyond its extents.
// expect: expression_of_rank
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/matmul.hpp>

using machine = iapt::eigen_backend;

auto product(const iapt::tensor<float, 1, machine>& x, const iapt::tensor<float, 2, machine>& w) {
#ifdef CORRECT
  return matmul(x.reshape(iapt::extents<2>{1, x.size()}), w);
#else
  return matmul(x, w);
#endif
}
