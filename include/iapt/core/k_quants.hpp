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

/// 256 elements: the scale d and the scale of minima e (half both), 12 bytes of 6-bit scales s and minima m, 32 bytes
/// of fifth bits if `HasFifth`, 128 bytes of four-bit quants; x = d·s·q − e·m. Each of eight sub-blocks of 32 elements
/// has s and m. The first four have them in the low six bits of bytes i and i + 4 of the twelve; the others in the
/// halves of byte i + 4 and the high pairs of bytes i − 4 and i. Sub-blocks 2r and 2r + 1 have their quants in the low
/// and high bits of the 32 bytes from 32·r on, and sub-block i has its fifth bits in bit i of the 32 bytes of these.
template <bool HasFifth>
struct sub_scaled_block : block_format<sub_scaled_block<HasFifth>> {
  static constexpr dtype type = HasFifth ? dtype::q5_k : dtype::q4_k;  ///< the type that it dequantizes
  static constexpr auto name = HasFifth ? "Q5_K" : "Q4_K";
  static constexpr std::uint32_t gguf_id = HasFifth ? 13 : 12;      ///< in GGUF files
  static constexpr block_layout layout{256, HasFifth ? 176 : 144};  ///< its blocks
  static constexpr std::array<int, 2> halves{0, 2};                 ///< d and e

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
    using integers = integers_for<V>;
    const int sub = group / 2, at = group % 2 * 16 + j;
    const auto low = integers::bytes(block + (HasFifth ? 48 : 16) + sub / 2 * 32 + at) >> sub % 2 * 4 & 15;
    if constexpr (HasFifth)
      return low | (integers::bytes(block + 16 + at) >> sub & 1) << 4;
    else
      return low;
  }

 private:
  IAPT_DEVICE static int six(const std::byte* block, int i) { return int(block[4 + i]); }
};

/// 256 elements: 16 bytes with a scale s (low four bits) and a minimum m for each group, 64 bytes of quants
/// (bit_pairs), the scale d and the scale of minima e (half both); x = d·s·q − e·m, q in 0..3.
struct two_bit_block : block_format<two_bit_block> {
  static constexpr dtype type = dtype::q2_k;  ///< the type that it dequantizes
  static constexpr auto name = "Q2_K";
  static constexpr std::uint32_t gguf_id = 10;         ///< in GGUF files
  static constexpr block_layout layout{256, 84};       ///< its blocks
  static constexpr std::array<int, 2> halves{80, 82};  ///< d and e

  /// The scale d·s.
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int group) {
    return half_at<T>(block + 80) * T(int(block[group]) & 15);
  }
  /// The minimum −e·m.
  template <class T>
  IAPT_DEVICE static T minimum(const std::byte* block, int group) {
    return -(half_at<T>(block + 82) * T(int(block[group]) >> 4));
  }
  /// The quant q.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    return bit_pairs<V>(block + 16, group, j);
  }
};

/// 256 elements: 32 bytes of third bits, 64 bytes of low bit_pairs, 12 bytes of 6-bit scales s, the
/// scale d (half); x = d·(s − 32)·(q − 4), q in 0..7. Groups 2i and 2i + 1 have their third bits in bit i of the 32
/// bytes. Group g has the low four bits of s in byte g mod 8 of the twelve, in its high half from group 8 on, and the
/// high pair in byte 8 + g mod 4, in bits 2(g / 4) and 2(g / 4) + 1.
struct three_bit_block : block_format<three_bit_block> {
  static constexpr dtype type = dtype::q3_k;  ///< the type that it dequantizes
  static constexpr auto name = "Q3_K";
  static constexpr std::uint32_t gguf_id = 11;      ///< in GGUF files
  static constexpr block_layout layout{256, 110};   ///< its blocks
  static constexpr std::array<int, 1> halves{108};  ///< d

  /// The scale d·(s − 32).
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int group) {
    const int low = int(block[96 + group % 8]) >> group / 8 * 4 & 15;
    const int high = int(block[104 + group % 4]) >> group / 4 * 2 & 3;
    return half_at<T>(block + 108) * T((low | high << 4) - 32);
  }
  /// The quant q − 4.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    const int at = group % 2 * 16 + j;
    return (bit_pairs<V>(block + 32, group, j) | (integers::bytes(block + at) >> group / 2 & 1) << 2) - 4;
  }
};

}  // namespace iapt
