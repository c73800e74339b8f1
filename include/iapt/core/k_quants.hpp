// SPDX-License-Identifier: Apache-2.0
// The K-quants: blocks of 256 elements, whose groups have quantized scales.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "iapt/core/block_format.hpp"

namespace iapt {

/// 256 elements: 128 bytes of low four bits, 64 bytes of high bit pairs, 16 signed scales s, the scale d (half);
/// x = d·s·(q − 32), q in 0..63. Each half of the block (128 elements) has four runs of two groups. Run r has its low
/// bits in 32 bytes: runs 0 and 2 share the first 32, runs 1 and 3 the second. Its high pairs are bits 2r and 2r + 1
/// of 32 bytes.
struct six_bit_block : block_format<six_bit_block> {
  static constexpr dtype type = dtype::q6_k;  ///< the type that it dequantizes
  static constexpr auto name = "Q6_K";
  static constexpr std::uint32_t gguf_id = 14;      ///< in GGUF files
  static constexpr block_layout layout{256, 210};   ///< its blocks
  static constexpr std::array<int, 1> halves{208};  ///< d

  /// The scale d·s.
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int group) {
    return half_at<T>(block + 208) * T(static_cast<std::int8_t>(block[192 + group]));
  }
  /// The quant q − 32.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    const int half = group / 8, run = group % 8 / 2, at = 16 * (group % 2) + j;
    const auto low = integers::bytes(block + 64 * half + 32 * (run % 2) + at) >> run / 2 * 4 & 15;
    return (low | (integers::bytes(block + 128 + 32 * half + at) >> 2 * run & 3) << 4) - 32;
  }
};

/// 256 elements: the scale d and the scale of minima e (half both), 12 bytes of 6-bit scales s and minima m, 128 bytes
/// of four-bit quants; x = d·s·q − e·m. Each of eight sub-blocks of 32 elements has s and m. The first four have them
/// in the low six bits of bytes i and i + 4 of the twelve; the others in the halves of byte i + 4 and the high pairs of
/// bytes i − 4 and i. Sub-blocks 2r and 2r + 1 have their quants in the low and high bits of the 32 bytes from 32·r on.
struct four_bit_k_block : block_format<four_bit_k_block> {
  static constexpr dtype type = dtype::q4_k;  ///< the type that it dequantizes
  static constexpr auto name = "Q4_K";
  static constexpr std::uint32_t gguf_id = 12;       ///< in GGUF files
  static constexpr block_layout layout{256, 144};    ///< its blocks
  static constexpr std::array<int, 2> halves{0, 2};  ///< d and e

  /// The scale d·s.
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int group) {
    const int i = group / 2;
    return half_at<T>(block) * T(i < 4 ? six(block, i) & 63 : (six(block, i + 4) & 15) | six(block, i - 4) >> 6 << 4);
  }
  /// The minimum −e·m.
  template <class T>
  IAPT_DEVICE static T minimum(const std::byte* block, int group) {
    const int i = group / 2;
    return -(half_at<T>(block + 2) *
             T(i < 4 ? six(block, i + 4) & 63 : six(block, i + 4) >> 4 | six(block, i) >> 6 << 4));
  }
  /// The quant q.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    return integers_for<V>::bytes(block + 16 + group / 4 * 32 + group % 2 * 16 + j) >> group / 2 % 2 * 4 & 15;
  }

 private:
  IAPT_DEVICE static int six(const std::byte* block, int i) { return int(block[4 + i]); }
};

}  // namespace iapt
