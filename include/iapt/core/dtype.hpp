// SPDX-License-Identifier: Apache-2.0
// Element types as files store them, and the two 16-bit floats.
#pragma once
#include <cstdint>
#include <string_view>

#include "iapt/core/device.hpp"

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
IAPT_DEVICE constexpr float bfloat16_to_float(std::uint16_t bits) { return bits_as<float>(std::uint32_t(bits) << 16); }

/// IEEE half precision -> float, exact, subnormals and non-finite values included.
IAPT_DEVICE constexpr float half_to_float(std::uint16_t bits) {
  // Sign, exponent and mantissa moved to a float's places; the product moves the exponent, and makes subnormals normal.
  const auto moved = static_cast<std::uint32_t>(static_cast<std::int16_t>(bits) * 8192) & 0x8fffe000u;
  const float value = bits_as<float>(moved) * 0x1p112f;
  if ((bits & 0x7c00) == 0x7c00) [[unlikely]]  // a jump, because this is on the way of all scales
    return bits_as<float>(bits_as<std::uint32_t>(value) | 0x7f800000u);
  return value;
}

}  // namespace iapt
