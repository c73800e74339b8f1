// SPDX-License-Identifier: Apache-2.0
// The block formats of GGUF: a few bits for each element, a scale (and a minimum) for each block.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "iapt/core/dtype.hpp"

namespace iapt {

/// How a type lies in memory: `elements` numbers take `bytes` bytes. Plain types are blocks of one.
struct block_layout {
  int elements;  ///< numbers in a block
  int bytes;     ///< bytes of a block
};

/// The layout of each element type.
/// @par Source for the blocks: ggml, whose files these are
constexpr block_layout layout_of(dtype type) {
  constexpr block_layout layouts[] = {{1, 8}, {1, 4}, {1, 2},   {1, 2},   {1, 8},   {1, 4},   {1, 2},   {1, 1},
                                      {1, 1}, {1, 1}, {32, 18}, {32, 20}, {32, 22}, {32, 24}, {32, 34}, {256, 210}};
  return layouts[static_cast<int>(type)];
}

/// Loads a number from bytes that need not be aligned.
template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

/// Loads a half-precision scale as T.
template <std::floating_point T>
T load_half(const std::byte* bytes) {
  return T(half_to_float(load<std::uint16_t>(bytes)));
}

/// 32 elements: scale d (half), 16 bytes of quarters q in 0..15; x = d·(q − 8), or with a minimum m (half after d)
/// x = d·q + m. Byte j holds element j in its low half and element j + 16 in its high half.
template <bool HasMinimum>
struct four_bit_block {
  static constexpr dtype type = HasMinimum ? dtype::q4_1 : dtype::q4_0;  ///< the type it decodes

  /// Writes the 32 elements.
  template <std::floating_point T>
  static void expand(const std::byte* block, T* out) {
    const T scale = load_half<T>(block);
    T minimum = 0;
    if constexpr (HasMinimum) minimum = load_half<T>(block + 2);
    std::uint8_t packed[16];  // copied, so that the loop need not fear that `out` overlaps it
    std::memcpy(packed, block + (HasMinimum ? 4 : 2), 16);
    constexpr int zero = HasMinimum ? 0 : 8;
    for (int j = 0; j < 16; ++j) out[j] = scale * T((packed[j] & 15) - zero) + minimum;
    for (int j = 0; j < 16; ++j) out[j + 16] = scale * T((packed[j] >> 4) - zero) + minimum;
  }
};

/// As the four-bit blocks with a fifth bit: 32 of them in one word before the quarters, bit j for element j; the zero
/// is at 16 where there is no minimum.
template <bool HasMinimum>
struct five_bit_block {
  static constexpr dtype type = HasMinimum ? dtype::q5_1 : dtype::q5_0;  ///< the type it decodes

  /// Writes the 32 elements.
  template <std::floating_point T>
  static void expand(const std::byte* block, T* out) {
    const T scale = load_half<T>(block);
    T minimum = 0;
    if constexpr (HasMinimum) minimum = load_half<T>(block + 2);
    const std::byte* rest = block + (HasMinimum ? 4 : 2);
    const std::uint32_t fifth = load<std::uint32_t>(rest);
    std::uint8_t packed[16];
    std::memcpy(packed, rest + 4, 16);
    constexpr int zero = HasMinimum ? 0 : 16;
    for (int j = 0; j < 16; ++j) out[j] = scale * T(int((packed[j] & 15) | (fifth >> j & 1) << 4) - zero) + minimum;
    for (int j = 0; j < 16; ++j)
      out[j + 16] = scale * T(int((packed[j] >> 4) | (fifth >> (j + 16) & 1) << 4) - zero) + minimum;
  }
};

/// 32 elements: scale d (half), 32 signed bytes q; x = d·q.
struct eight_bit_block {
  static constexpr dtype type = dtype::q8_0;  ///< the type it decodes

  /// Writes the 32 elements.
  template <std::floating_point T>
  static void expand(const std::byte* block, T* out) {
    const T scale = load_half<T>(block);
    std::int8_t q[32];
    std::memcpy(q, block + 2, 32);
    for (int j = 0; j < 32; ++j) out[j] = scale * T(q[j]);
  }
};

/// 256 elements: 128 bytes of low halves, 64 bytes of upper bit pairs, 16 signed scales s of 16 elements each, scale d
/// (half); x = d·s·(q − 32), q in 0..63. Each half of the block (128 elements) has four runs of 32: run r takes its low
/// halves from 32 bytes (runs 0 and 2 share the first 32, 1 and 3 the second), its upper pairs from bits 2r of 32
/// bytes.
struct six_bit_block {
  static constexpr dtype type = dtype::q6_k;  ///< the type it decodes

  /// Writes the 256 elements.
  template <std::floating_point T>
  static void expand(const std::byte* block, T* out) {
    const T scale = load_half<T>(block + 208);
    for (int half = 0; half < 2; ++half) {
      std::uint8_t low[64], high[32];
      std::int8_t scales[8];
      std::memcpy(low, block + 64 * half, 64);
      std::memcpy(high, block + 128 + 32 * half, 32);
      std::memcpy(scales, block + 192 + 8 * half, 8);
      for (int run = 0; run < 4; ++run, out += 32) {
        const std::uint8_t* quarters = low + 32 * (run & 1);
        const int shift = run < 2 ? 0 : 4;
        for (int group = 0; group < 2; ++group) {
          const T factor = scale * T(scales[2 * run + group]);
          for (int j = 16 * group; j < 16 * group + 16; ++j)
            out[j] = factor * T(((quarters[j] >> shift & 15) | (high[j] >> (2 * run) & 3) << 4) - 32);
        }
      }
    }
  }
};

/// Expands consecutive blocks of one format.
template <class Block, std::floating_point T>
void expand_blocks(const std::byte* in, std::size_t blocks, T* out) {
  constexpr block_layout layout = layout_of(Block::type);
  for (std::size_t i = 0; i < blocks; ++i) Block::expand(in + i * layout.bytes, out + i * layout.elements);
}

}  // namespace iapt
