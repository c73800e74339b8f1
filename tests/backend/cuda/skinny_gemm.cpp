// SPDX-License-Identifier: Apache-2.0
// Backends: cuda, cuda_simulated
#include IAPT_TEST_BACKEND_HEADER

#include <vector>

#include "support/catch.hpp"

namespace iapt::test::backend_cuda_skinny_gemm {

// Addresses alone: nothing is computed.
TEST_CASE("products stand side by side that do not read each other's results", "[backend]") {
  const std::vector<float> memory(1000);
  const auto at = [&](index_t place) { return matrix_ref<const float>{memory.data() + place, 10}; };
  const auto result = [&](index_t place) { return matrix_ref<float>{const_cast<float*>(memory.data()) + place, 10}; };
  const index_t x = 0, w = 100, q = 500, k = 520;
  independent_gemms side_by_side;
  CHECK_FALSE(side_by_side.admit(0, at(x), 2, at(w), 10));  // there is none yet
  side_by_side.add(7, result(q), 2, false);
  CHECK(side_by_side.admit(7, at(x), 2, at(w), 10));
  CHECK_FALSE(side_by_side.admit(8, at(x), 2, at(w), 10));  // something came between
  CHECK_FALSE(side_by_side.admit(7, at(q), 1, at(w), 10));
  CHECK_FALSE(side_by_side.admit(7, at(q + 19), 1, at(w), 10));
  CHECK_FALSE(side_by_side.admit(7, at(q - 10), 2, at(w), 10));
  CHECK_FALSE(side_by_side.admit(7, at(x), 2, at(q - 90), 10));
  CHECK(side_by_side.admit(7, at(q - 10), 1, at(k), 10));
  side_by_side.add(8, result(k), 2, true);
  CHECK_FALSE(side_by_side.admit(8, at(q), 1, at(w), 10));
  CHECK_FALSE(side_by_side.admit(8, at(k + 10), 1, at(w), 10));
  side_by_side.add(9, result(x), 2, false);
  CHECK(side_by_side.admit(9, at(q), 1, at(w), 10));  // those are ahead of one that waits
  for (std::size_t number = 1; number < independent_gemms::max_length; ++number) {
    REQUIRE(side_by_side.admit(9, at(q), 1, at(w), 10));
    side_by_side.add(9, result(x), 2, true);
  }
  CHECK_FALSE(side_by_side.admit(9, at(q), 1, at(w), 10));
}

}  // namespace iapt::test::backend_cuda_skinny_gemm
