// SPDX-License-Identifier: Apache-2.0
// A product computes in one type of number.
// expect: operands of one statement differ in their type of number
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/ops/matmul.hpp>

template <class T>
using matrix = iapt::tensor<T, 2, iapt::eigen_backend>;

auto product(const matrix<float>& x, const matrix<double>& w, const matrix<float>& narrow) {
#ifdef CORRECT
  (void)w;
  return matmul(x, narrow);
#else
  (void)narrow;
  return matmul(x, w);
#endif
}
