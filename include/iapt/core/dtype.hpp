// SPDX-License-Identifier: Apache-2.0
// Element types as files store them, and the two 16-bit floats.
#pragma once
#include <bit>
#include <cstdint>
#include <string_view>

namespace iapt {

/// How the numbers of a stored tensor are encoded. The `q` types are blocks of 32 or 256 elements (GGUF).
enum class dtype { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean, q4_0, q4_1, q5_0, q5_1, q8_0, q6_k };

/// The name people use for an element type, for messages.
constexpr std::string_view name_of(dtype type) {
  constexpr std::string_view names[] = {"F64", "F32",  "F16",  "BF16", "I64",  "I32",  "I16",  "I8",
                                        "U8",  "BOOL", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q6_K"};
  return names[static_cast<int>(type)];
}

/// bfloat16 -> float: the upper half of the same bits.
constexpr float bfloat16_to_float(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t(bits) << 16); }

/// IEEE half precision -> float, exact, subnormals and non-finite values included.
constexpr float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16, exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: mantissa · 2⁻²⁴
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -value : value;
  }
  const std::uint32_t wide = exponent == 0x1f ? 0xffu : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

}  // namespace iapt
