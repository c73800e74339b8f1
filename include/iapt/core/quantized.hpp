// SPDX-License-Identifier: Apache-2.0
// Quantized element types, as files store them: the block formats of GGUF and the two 16-bit floats. A block format has
// a few bits for each element, and a scale and perhaps a minimum for each group of elements.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

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

/// Base of the blocks of 32 elements: the scale d (half) comes first, then the minimum m (half) if there is one.
template <class Format, bool HasMinimum>
struct scaled_block : block_format<Format> {
  static constexpr std::array<int, 2> halves{0, HasMinimum ? 2 : 0};  ///< d, and m if there is one
  /// The scale d.
  template <class T>
  IAPT_DEVICE static T scale(const std::byte* block, int) {
    return half_at<T>(block);
  }
  /// The minimum m.
  template <class T>
  IAPT_DEVICE static T minimum(const std::byte* block, int) requires HasMinimum {
    return half_at<T>(block + 2);
  }
};

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

/// A list of formats.
template <class... Formats>
struct format_list {
  /// Calls f(format) for each format.
  template <class F>
  static constexpr void each(F f) {
    (f(Formats{}), ...);
  }
};
/// All formats of this header. Names, layouts, ids and messages follow from it.
using quantized_formats =
    format_list<four_bit_block<false>, four_bit_block<true>, five_bit_block<false>, five_bit_block<true>,
                eight_bit_block, four_bit_k_block, six_bit_block, short_floats<dtype::f16>, short_floats<dtype::bf16>>;

/// Whether this header has a format for the type.
constexpr bool is_quantized(dtype type) {
  bool found = false;
  quantized_formats::each([&](auto format) { found |= format.type == type; });
  return found;
}

/// The usual name of an element type, for messages.
constexpr std::string_view name_of(dtype type) {
  std::string_view name = name_of_plain(type);
  quantized_formats::each([&](auto format) {
    if (format.type == type) name = format.name;
  });
  return name;
}

/// The layout of each element type.
/// @par Source for the blocks: ggml, which defines these formats
constexpr block_layout layout_of(dtype type) {
  block_layout layout{1, bytes_of_plain(type)};
  quantized_formats::each([&](auto format) {
    if (format.type == type) layout = format.layout;
  });
  return layout;
}

namespace detail {
template <class First, class... Rest, class F>
IAPT_DEVICE decltype(auto) with_format_of(format_list<First, Rest...>, dtype type, const F& f) {
  if constexpr (sizeof...(Rest) > 0) {
    if (type != First::type) return with_format_of(format_list<Rest...>{}, type, f);
  } else if (type != First::type) {
    trap();
  }
  return f(First{});
}
}  // namespace detail

/// Calls f with the format of `type`, for which `is_quantized` holds; ends the program if it does not.
template <class F>
IAPT_DEVICE decltype(auto) with_format(dtype type, const F& f) {
  return detail::with_format_of(quantized_formats{}, type, f);
}

/// Rows in one of these formats, in a backend's memory.
struct quantized_rows {
  const std::byte* data;  ///< the first row
  dtype type;             ///< format of all rows
  index_t columns;        ///< elements in a row, whole blocks

  /// Bytes from one row to the next.
  IAPT_DEVICE index_t row_bytes() const {
    return with_format(type, [&]<class Format>(Format) { return row_bytes(Format::layout); });
  }
  /// Bytes from one row to the next, for a layout that the caller already has.
  IAPT_DEVICE index_t row_bytes(block_layout layout) const { return columns / layout.elements * layout.bytes; }
  /// Address of row i.
  IAPT_DEVICE const std::byte* row(index_t i) const { return data + i * row_bytes(); }
  /// Calls f(element) once; element(j) returns element j of row i.
  template <class T, class F>
  IAPT_DEVICE void read(index_t i, const F& f) const {
    with_format(type, [&]<class Format>(Format) {
      constexpr block_layout layout = Format::layout;  // a constant: a GPU divides slowly by a runtime value
      const std::byte* const from = data + i * row_bytes(layout);
      f([from](index_t j) { return Format::template number<T>(from, j); });
    });
  }
  /// Element j of row i.
  template <class T>
  IAPT_DEVICE T number(index_t i, index_t j) const {
    T found{};
    read<T>(i, [&](auto element) { found = element(j); });
    return found;
  }
  /// Dequantizes row i; V is T, or a vec.
  template <class V, class T>
  IAPT_DEVICE void dequantize(index_t i, T* out) const {
    with_format(type, [&]<class Format>(Format) {
      const std::byte* const from = data + i * row_bytes(Format::layout);
      index_t c = 0;
      for (; (c + 1) * chunk_elements <= columns; ++c) {
        V numbers[chunk_elements / integers_for<V>::width];
        Format::template chunk<T>(from, c, numbers);
        std::memcpy(out + c * chunk_elements, numbers, sizeof numbers);
      }
      for (index_t j = c * chunk_elements; j < columns; ++j) out[j] = Format::template number<T>(from, j);
    });
  }
};

}  // namespace iapt
