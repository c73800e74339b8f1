// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/core/bfloat16.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"

namespace iapt::test::core_bfloat16 {

TEST_CASE("bfloat16 holds every number of eight bits of precision exactly", "[core]") {
  for (float x : {0.f, -0.f, 1.f, -1.5f, 255.f, 0x1.fep100f, 0x1p-126f, 0x1p-133f, HUGE_VALF, -HUGE_VALF})
    CHECK(float(bfloat16(x)) == x);
  CHECK(std::signbit(float(bfloat16(-0.f))));
  CHECK(std::isnan(float(bfloat16(NAN))));
  CHECK(std::isnan(float(bfloat16(std::bit_cast<float>(0x7f800001u)))));  // its only bits are those that are cut
}

TEST_CASE("bfloat16 rounds to the nearest, of two to the even one", "[core]") {
  CHECK(float(bfloat16(1 + 0x1p-8f)) == 1);
  CHECK(float(bfloat16(1 + 0x1.8p-7f)) == 1 + 0x1p-6f);
  CHECK(float(bfloat16(1 + 0x1.01p-8f)) == 1 + 0x1p-7f);
  CHECK(float(bfloat16(std::numeric_limits<float>::max())) == HUGE_VALF);
  static_assert(float(bfloat16(3.f)) == 3.f);
}

}  // namespace iapt::test::core_bfloat16
