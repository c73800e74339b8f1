// SPDX-License-Identifier: Apache-2.0
// bfloat16, a 16-bit float with eight bits of precision, and the type that each stored type is computed in.
#pragma once
#include <cstdint>

#include "iapt/core/dtype.hpp"

namespace iapt {

/// A stored bfloat16. It is read and written as a float; no arithmetic is done in bfloat16.
struct bfloat16 {
  std::uint16_t bits;  ///< the upper half of a float's bits

  /// Uninitialized.
  bfloat16() = default;
  /// Rounds x to nearest, ties to even.
  IAPT_DEVICE constexpr bfloat16(float x) : bits(rounded(bits_as<std::uint32_t>(x))) {}
  /// The same value as a float; exact.
  IAPT_DEVICE constexpr operator float() const { return bfloat16_to_float(bits); }

 private:
  IAPT_DEVICE static constexpr std::uint16_t rounded(std::uint32_t x) {
    if ((x & 0x7fffffffu) > 0x7f800000u) return std::uint16_t(x >> 16 | 0x40u);  // NaN stays NaN
    return std::uint16_t((x + 0x7fffu + (x >> 16 & 1u)) >> 16);
  }
};

/// The type in which elements of a stored type are computed and summed.
template <class T>
struct computed_in {
  using type = T;  ///< the stored type itself
};
/// bfloat16 is computed in float.
template <>
struct computed_in<bfloat16> {
  using type = float;  ///< float
};
/// The type in which elements of type T are computed: T itself, but float for bfloat16.
template <class T>
using compute_type = typename computed_in<T>::type;

}  // namespace iapt
