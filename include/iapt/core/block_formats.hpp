// SPDX-License-Identifier: Apache-2.0
// The formats whose blocks have 32 elements, and the two 16-bit floats, which need no blocks.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "iapt/core/block_format.hpp"

namespace iapt {

/// 32 elements: the scale d (half), the minimum m (half) if there is one, then 16 bytes of four-bit quants. Byte j
/// holds element j in its low four bits and element j + 16 in its high four bits; x = d·q + m, or d·(q − 8).
template <bool HasMinimum>
struct four_bit_block : scaled_block<four_bit_block<HasMinimum>, HasMinimum> {
  static constexpr dtype type = HasMinimum ? dtype::q4_1 : dtype::q4_0;  ///< the type that it dequantizes
  static constexpr auto name = HasMinimum ? "Q4_1" : "Q4_0";
  static constexpr std::uint32_t gguf_id = HasMinimum ? 3 : 2;     ///< in GGUF files
  static constexpr block_layout layout{32, HasMinimum ? 20 : 18};  ///< its blocks

  /// q with a minimum, else q − 8.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    return (integers_for<V>::bytes(block + (HasMinimum ? 4 : 2) + j) >> 4 * group & 15) - (HasMinimum ? 0 : 8);
  }
};

/// Like four_bit_block, with a fifth bit for each element. A 32-bit word before the quants holds these: bit j is for
/// element j; x = d·q + m, or d·(q − 16).
template <bool HasMinimum>
struct five_bit_block : scaled_block<five_bit_block<HasMinimum>, HasMinimum> {
  static constexpr dtype type = HasMinimum ? dtype::q5_1 : dtype::q5_0;  ///< the type that it dequantizes
  static constexpr auto name = HasMinimum ? "Q5_1" : "Q5_0";
  static constexpr std::uint32_t gguf_id = HasMinimum ? 7 : 6;     ///< in GGUF files
  static constexpr block_layout layout{32, HasMinimum ? 24 : 22};  ///< its blocks

  /// q with a minimum, else q − 16.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    const std::byte* const fifths = block + (HasMinimum ? 4 : 2);
    const auto fifth = load<std::int32_t>(fifths) >> integers::counting_from(16 * group + j) & 1;
    return ((integers::bytes(fifths + 4 + j) >> 4 * group & 15) | fifth << 4) - (HasMinimum ? 0 : 16);
  }
};

/// 32 elements: the scale d (half), then 32 signed bytes q; x = d·q.
struct eight_bit_block : scaled_block<eight_bit_block, false> {
  static constexpr dtype type = dtype::q8_0;  ///< the type that it dequantizes
  static constexpr auto name = "Q8_0";
  static constexpr std::uint32_t gguf_id = 8;    ///< in GGUF files
  static constexpr block_layout layout{32, 34};  ///< its blocks

  /// The signed byte q.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    return integers_for<V>::signed_bytes(block + 2 + 16 * group + j);
  }
};

/// 16-bit floats, contiguous and without blocks.
template <dtype Type>
struct short_floats {
  static constexpr dtype type = Type;  ///< the type that it dequantizes
  static constexpr auto name = Type == dtype::bf16 ? "BF16" : "F16";
  static constexpr std::uint32_t gguf_id = Type == dtype::bf16 ? 30 : 1;  ///< in GGUF files
  static constexpr block_layout layout{1, 2};                             ///< an element

  /// Elements j, j + 1, … of a row, as many as a V has.
  template <class T, class V = T>
  IAPT_DEVICE static V number(const std::byte* row, index_t j) {
    using integers = integers_for<V>;
    const auto bits = integers::pairs(row + 2 * j);
    if constexpr (Type == dtype::bf16) return integers::number_of_bits(bits << 16);
    // As in half_to_float. Bit 15 of the sum is set for infinity and NaN.
    const auto sign = (bits & 0x8000) << 16, special = -(((bits & 0x7c00) + 0x400) >> 15) & 0x7f800000;
    return integers::number_of_bits((bits & 0x7fff) << 13 | sign | special) * V(T(0x1p112));
  }
  /// Elements 32·c to 32·c + 31 of a row.
  template <class T, class V = T>
  IAPT_DEVICE static void chunk(const std::byte* row, index_t c, V* out) {
    constexpr int width = integers_for<V>::width;
    for (int j = 0; j < chunk_elements; j += width) out[j / width] = number<T, V>(row, chunk_elements * c + j);
  }
};

}  // namespace iapt
