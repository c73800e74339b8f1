// SPDX-License-Identifier: Apache-2.0
// Formats of four-bit quants that are indices of a table.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "iapt/core/block_format.hpp"

namespace iapt {

/// The values of IQ4: closer together near zero, where weights are.
inline constexpr byte_table nonlinear_values({-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89,
                                              113});
/// Twice the values of four-bit floats (E2M1).
inline constexpr byte_table float4_values({0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12});

/// 32 elements: the scale d (half), 16 bytes of quants as in four_bit_block; x = d·table[q].
struct nonlinear_block : scaled_block<nonlinear_block> {
  static constexpr dtype type = dtype::iq4_nl;  ///< the type that it dequantizes
  static constexpr auto name = "IQ4_NL";
  static constexpr std::uint32_t gguf_id = 20;   ///< in GGUF files
  static constexpr block_layout layout{32, 18};  ///< its blocks

  /// The value of the quant.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    constexpr byte_table values = nonlinear_values;  // a constant of this function: device code sees no other
    return integers::look_up(values, integers::bytes(block + 2 + j) >> 4 * group & 15);
  }
};

/// 256 elements: the scale d (half), a 16-bit word of high pairs and 4 bytes of low halves of 6-bit scales s, 128 bytes
/// of quants; x = d·(s − 32)·table[q]. Sub-block i of 32 elements has the low half i of the four bytes, bits 2i and
/// 2i + 1 of the word, and 16 bytes of quants as in four_bit_block.
struct nonlinear_sub_scaled_block : block_format<nonlinear_sub_scaled_block> {
  static constexpr dtype type = dtype::iq4_xs;  ///< the type that it dequantizes
  static constexpr auto name = "IQ4_XS";
  static constexpr std::uint32_t gguf_id = 23;     ///< in GGUF files
  static constexpr block_layout layout{256, 136};  ///< its blocks
  static constexpr std::array<int, 1> halves{0};   ///< d

  /// The scale d·(s − 32).
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int group) {
    const int i = group / 2, low = int(block[4 + i / 2]) >> i % 2 * 4 & 15;
    const int high = load<std::uint16_t>(block + 2) >> 2 * i & 3;
    return half_at<T>(block) * T((low | high << 4) - 32);
  }
  /// The value of the quant.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    constexpr byte_table values = nonlinear_values;
    return integers::look_up(values, integers::bytes(block + 8 + group / 2 * 16 + j) >> group % 2 * 4 & 15);
  }
};

/// 32 elements: a power of two e (a byte), 16 bytes of quants as in four_bit_block; x = 2^(e − 127)·v, v a four-bit
/// float.
/// @par Source OCP Microscaling Formats (MX) Specification 1.0
struct mx_block : block_format<mx_block> {
  static constexpr dtype type = dtype::mxfp4;  ///< the type that it dequantizes
  static constexpr auto name = "MXFP4";
  static constexpr std::uint32_t gguf_id = 39;    ///< in GGUF files
  static constexpr block_layout layout{32, 17};   ///< its blocks
  static constexpr std::array<int, 1> scales{0};  ///< e

  /// 2^(e − 128), because the table has twice the values.
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int) {
    const auto e = std::uint32_t(*block);
    return T(bits_as<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23));  // below 2 subnormal
  }
  /// Twice the value of the quant.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    constexpr byte_table values = float4_values;
    return integers::look_up(values, integers::bytes(block + 1 + j) >> 4 * group & 15);
  }
};

/// 64 elements: four scales s, one for each group, then 8 bytes of quants for each group, the first eight elements in
/// the low halves; x = s·v, s an unsigned eight-bit float (E4M3), v a four-bit float. A tensor in this format has a
/// second scale, of its own, which is not part of the block.
struct nv_block : block_format<nv_block> {
  static constexpr dtype type = dtype::nvfp4;  ///< the type that it dequantizes
  static constexpr auto name = "NVFP4";
  static constexpr std::uint32_t gguf_id = 40;             ///< in GGUF files
  static constexpr block_layout layout{64, 36};            ///< its blocks
  static constexpr std::array<int, 4> scales{0, 1, 2, 3};  ///< s of each group

  /// s/2, because the table has twice the values. The code of NaN is 0, as in ggml.
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int group) {
    const auto code = std::uint32_t(block[group]), exponent = code >> 3 & 15, mantissa = code & 7;
    if (code == 0x7f) return T(0);
    return exponent ? T(bits_as<float>((exponent + 119) << 23 | mantissa << 20)) : T(mantissa) * T(0x1p-10);
  }
  /// Twice the value of the quant.
  template <class V>
  IAPT_DEVICE static auto quant(const std::byte* block, int group, int j) {
    using integers = integers_for<V>;
    constexpr byte_table values = float4_values;
    const std::byte* const from = block + 4 + 8 * group;
    if constexpr (integers::width <= 8) {
      return integers::look_up(values, integers::bytes(from + j % 8) >> j / 8 * 4 & 15);
    } else {
      const auto element = integers::counting_from(j);
      return integers::look_up(values, integers::gather(from, element & 7) >> (element >> 3) * 4 & 15);
    }
  }
};

}  // namespace iapt
