// SPDX-License-Identifier: Apache-2.0
// A vector is not taken for a matrix; reshaping says what is meant.
// expect: could not convert|no viable conversion|conversion from
#include <iapt/backend/eigen/backend.hpp>
#include <iapt/core/tensor.hpp>

using machine = iapt::eigen_backend;

iapt::tensor<float, 2, machine> as_matrix(const iapt::tensor<float, 1, machine>& vector) {
#ifdef CORRECT
  return vector.reshape(iapt::extents<2>{1, vector.size()});
#else
  return vector;
#endif
}
