// SPDX-License-Identifier: Apache-2.0
// Numbers that are stored in half the bits of a float: a float with eight bits
// of precision.
#pragma once
#include <cstdint>

#include "iapt/core/dtype.hpp"

namespace iapt {

/// A stored bfloat16. It is read and written as a float; nothing is computed in
/// it.
struct bfloat16 {
  std::uint16_t bits;  ///< the upper half of a float's bits

  /// Uninitialised.
  bfloat16() = default;
  /// The nearest to x; of two, the even one.
  IAPT_DEVICE constexpr bfloat16(float x) : bits(rounded(bits_as<std::uint32_t>(x))) {}
  /// Exact.
  IAPT_DEVICE constexpr operator float() const { return bfloat16_to_float(bits); }

 private:
  IAPT_DEVICE static constexpr std::uint16_t rounded(std::uint32_t x) {
    if ((x & 0x7fffffffu) > 0x7f800000u) return std::uint16_t(x >> 16 | 0x40u);  // not a number stays none
    return std::uint16_t((x + 0x7fffu + (x >> 16 & 1u)) >> 16);
  }
};

/// What numbers of a stored type are computed in, and what is summed in.
template <class T>
struct computed_in {
  using type = T;  ///< the type itself
};
/// Float.
template <>
struct computed_in<bfloat16> {
  using type = float;  ///< float
};
/// What numbers of type T are computed in: T itself, float for bfloat16.
template <class T>
using compute_type = typename computed_in<T>::type;

}  // namespace iapt
