// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/expr/scalar_math.hpp"

#include "support/catch.hpp"

namespace iapt::test::expr_scalar_math {

TEMPLATE_TEST_CASE("functions of one number", "[expr]", float, double) {
  using T = TestType;
  CHECK(maximum(T(2), T(-3)) == 2);
  CHECK(maximum(T(-4), T(-3)) == -3);
  CHECK(sign(T(0.5)) == 1);
  CHECK(sign(T(-7)) == -1);
  CHECK(sign(T(0)) == 0);
  CHECK(sign(T(-0.0)) == 0);
  CHECK(where_positive(T(1), T(5), T(6)) == 5);
  CHECK(where_positive(T(0), T(5), T(6)) == 6);
  CHECK(where_positive(T(-1), T(5), T(6)) == 6);
}

}  // namespace iapt::test::expr_scalar_math
