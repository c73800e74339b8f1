// SPDX-License-Identifier: Apache-2.0
// Uses what needs Eigen alone.
#include <Eigen/Core>
#include <iapt/core/error.hpp>
#include <iapt/core/shape.hpp>

int main() {
  const Eigen::Array<float, 16, 1> pack = Eigen::Array<float, 16, 1>::Ones();
  return iapt::element_count(iapt::extents<2>{2, 8}) == static_cast<iapt::extent>(pack.sum()) ? 0 : 1;
}
