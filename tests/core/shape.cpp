// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/core/shape.hpp"

#include "support/catch.hpp"

namespace iapt::test::core_shape {

TEST_CASE("extents: their number of elements and their text", "[core]") {
  CHECK(element_count(extents<0>{}) == 1);
  CHECK(element_count(extents<3>{2, 3, 4}) == 24);
  CHECK(element_count(extents<2>{5, 0}) == 0);
  CHECK(element_count(extents<2>{1 << 20, 1 << 20}) == index_t(1) << 40);
  CHECK(to_text(extents<0>{}) == "()");
  CHECK(to_text(extents<1>{7}) == "(7)");
  CHECK(to_text(extents<2>{23, 576}) == "(23, 576)");
}

}  // namespace iapt::test::core_shape
