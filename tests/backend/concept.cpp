// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/concept.hpp"

#include "support/backends.hpp"
#include "support/catch.hpp"

namespace iapt::test::backend_concept {

TEST_CASE("a backend offers what statements need", "[backend]") {
  STATIC_REQUIRE(backend_like<test_backend>);
  STATIC_REQUIRE_FALSE(backend_like<int>);
}

}  // namespace iapt::test::backend_concept
