// SPDX-License-Identifier: Apache-2.0
// Element types of stored tensors, and the conversion of 16-bit floats to float.
#pragma once
#include <cstdint>
#include <string_view>

#include "iapt/core/device.hpp"

namespace iapt {

/// How the elements of a stored tensor are encoded. Those from q4_0 on are blocks of 32 to 256 elements (GGUF).
enum class dtype {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
  nvfp4,
  tq1_0,
  tq2_0,
  q1_0
};

/// The usual name of a type that is no format of core/quantized.hpp.
constexpr std::string_view name_of_plain(dtype type) {
  constexpr std::string_view names[] = {"F64", "F32", "", "", "I64", "I32", "I16", "I8", "U8", "BOOL"};
  return type <= dtype::boolean ? names[static_cast<int>(type)] : "";
}
/// Bytes of an element of such a type.
constexpr int bytes_of_plain(dtype type) {
  constexpr int bytes[] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1};
  return type <= dtype::boolean ? bytes[static_cast<int>(type)] : 0;
}

/// bfloat16 -> float: a bfloat16 has the upper half of a float's bits.
IAPT_DEVICE constexpr float bfloat16_to_float(std::uint16_t bits) { return bits_as<float>(std::uint32_t(bits) << 16); }

/// IEEE half precision -> float. The result is exact, also for subnormal and non-finite values.
IAPT_DEVICE constexpr float half_to_float(std::uint16_t bits) {
  // Sign, exponent and mantissa move to their bits in a float. The product corrects the exponent and normalizes
  // subnormals.
  const auto moved = static_cast<std::uint32_t>(static_cast<std::int16_t>(bits) * 8192) & 0x8fffe000u;
  const float value = bits_as<float>(moved) * 0x1p112f;
  if ((bits & 0x7c00) == 0x7c00) [[unlikely]]  // a branch: this path is hot, and infinity and NaN are rare
    return bits_as<float>(bits_as<std::uint32_t>(value) | 0x7f800000u);
  return value;
}

}  // namespace iapt
