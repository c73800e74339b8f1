// SPDX-License-Identifier: Apache-2.0
// What a quantized format consists of: blocks with a few bits for each element, and a scale and perhaps a minimum for
// each group of elements.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "iapt/core/device.hpp"
#include "iapt/core/dtype.hpp"
#include "iapt/core/shape.hpp"

namespace iapt {

/// Memory layout of a type: `elements` elements take `bytes` bytes. A block of a plain type is one element.
struct block_layout {
  int elements;  ///< elements in a block
  int bytes;     ///< bytes of a block
};

/// Reads a T from bytes that need not be aligned.
template <class T>
IAPT_DEVICE T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

/// Sixteen signed bytes, for formats whose quants are indices of a table. Two registers hold it: device code has no
/// arrays that are constants.
struct byte_table {
  std::uint64_t low = 0,  ///< bytes 0 to 7, the first in the lowest bits
      high = 0;           ///< bytes 8 to 15

  /// The table of these bytes, −128 to 127.
  constexpr explicit byte_table(const std::array<int, 16>& values) {
    for (unsigned i = 0; i < 8; ++i) {
      low |= std::uint64_t(std::uint8_t(values[i])) << 8 * i;
      high |= std::uint64_t(std::uint8_t(values[8 + i])) << 8 * i;
    }
  }
  /// Byte i.
  IAPT_DEVICE constexpr std::int8_t at(int i) const { return std::int8_t((i < 8 ? low : high) >> 8 * (i & 7)); }
};

/// Integers for the elements of a V: one integer for a scalar. Backends specialize it for their vecs.
template <class V>
struct integers_for {
  using type = std::int32_t;       ///< type of the integers; it has the operators of an integer
  static constexpr int width = 1;  ///< elements in a V

  /// Reads unsigned bytes, 0 to 255.
  IAPT_DEVICE static type bytes(const std::byte* p) { return type(*p); }
  /// Reads signed bytes, −128 to 127.
  IAPT_DEVICE static type signed_bytes(const std::byte* p) { return static_cast<std::int8_t>(*p); }
  /// Reads unsigned 16-bit integers, 0 to 65535.
  IAPT_DEVICE static type pairs(const std::byte* p) { return load<std::uint16_t>(p); }
  /// Reads the unsigned bytes p[index].
  IAPT_DEVICE static type gather(const std::byte* p, type index) { return type(p[index]); }
  /// The bytes of a table at these indices, 0 to 15.
  IAPT_DEVICE static type look_up(byte_table table, type index) { return table.at(index); }
  /// The integers first, first + 1, …
  IAPT_DEVICE static type counting_from(int first) { return first; }
  /// Converts integers to elements.
  IAPT_DEVICE static V number(type i) { return V(i); }
  /// Reads the integers as the bits of floats, and converts the floats to elements.
  IAPT_DEVICE static V number_of_bits(type i) { return V(bits_as<float>(i)); }
};

/// Number of elements that are dequantized at once. A row consists of whole chunks; a row of 16-bit floats may end with
/// a part of one.
inline constexpr int chunk_elements = 32;

/// Base of the block formats. A block consists of groups of 16 elements. Element j of group g is
/// scale(block, g) · quant(block, g, j), plus minimum(block, g) if the format has one. V is an element type or a vec. A
/// format also has its `type`, `name`, `gguf_id` and `layout`, and the offsets of the half-precision floats in a block.
template <class Format>
struct block_format {
  /// Elements j, j + 1, … of a row, as many as a V has, all of them in one group.
  template <class T, class V = T>
  IAPT_DEVICE static V number(const std::byte* row, index_t j) {
    constexpr block_layout layout = Format::layout;
    return decode<T, V>(row + j / layout.elements * layout.bytes, int(j % layout.elements / 16), int(j % 16));
  }
  /// Elements 32·c to 32·c + 31 of a row.
  template <class T, class V = T>
  IAPT_DEVICE static void chunk(const std::byte* row, index_t c, V* out) {
    constexpr block_layout layout = Format::layout;
    constexpr int chunks = layout.elements / chunk_elements, width = integers_for<V>::width;
    const std::byte* const block = row + c / chunks * layout.bytes;
    const int group = int(c % chunks) * 2;
    for (int j = 0; j < 16; j += width) out[j / width] = decode<T, V>(block, group, j);
    for (int j = 0; j < 16; j += width) out[(16 + j) / width] = decode<T, V>(block, group + 1, j);
  }

 private:
  template <class T, class V>
  IAPT_DEVICE static V decode(const std::byte* block, int group, int j) {
    const V product = V(Format::template scale<T>(block, group)) *
                      integers_for<V>::number(Format::template quant<V>(block, group, j));
    if constexpr (requires { Format::template minimum<T>(block, group); })
      return product + V(Format::template minimum<T>(block, group));
    else
      return product;
  }
};

/// The half-precision float at p.
template <class T>
IAPT_DEVICE T half_at(const std::byte* p) {
  return T(half_to_float(load<std::uint16_t>(p)));
}

/// Base of the formats with one scale d (half) for a block, at byte `At`, and perhaps a minimum m (half) behind it.
template <class Format, bool HasMinimum = false, int At = 0>
struct scaled_block : block_format<Format> {
  static constexpr std::array<int, 2> halves{At, HasMinimum ? At + 2 : At};  ///< d, and m if there is one
  /// The scale d.
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int) {
    return half_at<T>(block + At);
  }
  /// The minimum m.
  template <class T>
  IAPT_DEVICE static T minimum(const std::byte* block, int) requires HasMinimum {
    return half_at<T>(block + At + 2);
  }
};

/// Elements j, j + 1, … of a group among 64 bytes with pairs of bits of 256 elements. Each half of these has four runs
/// of two groups in the same 32 bytes; run r has bits 2r and 2r + 1.
template <class V>
IAPT_DEVICE auto bit_pairs(const std::byte* pairs, int group, int j) {
  return integers_for<V>::bytes(pairs + group / 8 * 32 + group % 2 * 16 + j) >> group % 8 / 2 * 2 & 3;
}

}  // namespace iapt
