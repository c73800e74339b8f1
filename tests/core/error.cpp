// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/core/error.hpp"

#include <type_traits>

#include "support/catch.hpp"

namespace iapt::test::core_error {

TEMPLATE_TEST_CASE("every error is an iapt::error with its message", "[core]", shape_error, device_error, io_error,
                   numeric_error) {
  try {
    throw TestType("gather: row 3 of (3, 4)");
  } catch (const error& caught) { CHECK(std::string(caught.what()) == "gather: row 3 of (3, 4)"); }
  STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, TestType>);
}

}  // namespace iapt::test::core_error
