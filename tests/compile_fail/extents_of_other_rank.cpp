// SPDX-License-Identifier: Apache-2.0
// The rank is part of the type: the extents of a vector are not taken for those of a matrix.
// expect: could not convert|no viable conversion|conversion from
#include <iapt/core/shape.hpp>

iapt::extents<2> extents_of_matrix() {
  const iapt::extents<1> vector{12};
#ifdef CORRECT
  return {vector[0], 1};
#else
  return vector;
#endif
}
