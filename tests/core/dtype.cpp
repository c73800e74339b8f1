// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/core/dtype.hpp"

#include <cmath>

#include "support/catch.hpp"

namespace iapt::test::core_dtype {

TEST_CASE("all 65,536 half precision numbers", "[core]") {
  int wrong = 0;
  for (int bits = 0; bits < 65536; ++bits) {
    const float value = half_to_float(std::uint16_t(bits));
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    if (std::signbit(value) != (bits >> 15 == 1)) ++wrong;
    if (exponent == 31)
      wrong += mantissa ? !std::isnan(value) : !std::isinf(value);
    else
      wrong += std::abs(value) !=
               (exponent ? std::ldexp(1024.f + float(mantissa), exponent - 25) : std::ldexp(float(mantissa), -24));
  }
  CHECK(wrong == 0);
}

TEST_CASE("bfloat16 is the upper half of a float", "[core]") {
  CHECK(bfloat16_to_float(0x3f80) == 1);
  CHECK(bfloat16_to_float(0xc049) == -3.140625f);
  CHECK(bfloat16_to_float(0x0001) == 0x1p-133f);
  CHECK(std::isinf(bfloat16_to_float(0x7f80)));
  CHECK(std::isnan(bfloat16_to_float(0x7fc0)));
}

}  // namespace iapt::test::core_dtype
