// SPDX-License-Identifier: Apache-2.0
// Formats with two or three levels.
#pragma once
#include <cstddef>
#include <cstdint>

#include "iapt/core/block_format.hpp"

namespace iapt {

/// 256 elements: 64 bytes of quants (bit_pairs), the scale d (half); x = d·(q − 1).
struct ternary_pair_block : scaled_block<ternary_pair_block, false, 64> {
  static constexpr dtype type = dtype::tq2_0;  ///< the type that it dequantizes
  static constexpr auto name = "TQ2_0";
  static constexpr std::uint32_t gguf_id = 35;    ///< in GGUF files
  static constexpr block_layout layout{256, 66};  ///< its blocks

  /// The quant q − 1.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    return bit_pairs<V>(block, group, j) - 1;
  }
};

/// Powers of three.
inline constexpr byte_table powers_of_three({1, 3, 9, 27, 81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});

/// 256 elements: 48 bytes with five digits of base 3 each, 4 bytes with four digits, the scale d (half);
/// x = d·(digit − 1). A byte is the fraction 0.digits of base 3, in 256ths, rounded up: digit k is the integer part of
/// three times the byte after k products by 3, modulo 256. The first 32 bytes have elements 32·k to 32·k + 31 as digit
/// k, the next 16 have elements 160 + 16·k, the last four 240 + 4·k.
struct ternary_block : scaled_block<ternary_block, false, 52> {
  static constexpr dtype type = dtype::tq1_0;  ///< the type that it dequantizes
  static constexpr auto name = "TQ1_0";
  static constexpr std::uint32_t gguf_id = 34;    ///< in GGUF files
  static constexpr block_layout layout{256, 54};  ///< its blocks

  /// The quant, a digit less one.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    constexpr byte_table powers = powers_of_three;  // a constant of this function, as in nonlinear_block
    const auto digit = [](auto bytes, auto power) { return ((bytes * power & 255) * 3 >> 8) - 1; };
    if (group < 10) return digit(integers::bytes(block + group % 2 * 16 + j), int(powers.at(group / 2)));
    if (group < 15) return digit(integers::bytes(block + 32 + j), int(powers.at(group - 10)));
    const auto element = integers::counting_from(j);
    return digit(integers::gather(block + 48, element & 3), integers::look_up(powers, element >> 2));
  }
};

/// 128 elements: the scale d (half), then a bit for each; x = d or −d.
struct sign_block : scaled_block<sign_block> {
  static constexpr dtype type = dtype::q1_0;  ///< the type that it dequantizes
  static constexpr auto name = "Q1_0";
  static constexpr std::uint32_t gguf_id = 41;    ///< in GGUF files
  static constexpr block_layout layout{128, 18};  ///< its blocks

  /// 1 or −1.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    const std::int32_t bits = load<std::uint16_t>(block + 2 + 2 * group);
    return (bits >> integers_for<V>::counting_from(j) & 1) * 2 - 1;
  }
};

}  // namespace iapt
