// SPDX-License-Identifier: Apache-2.0
// The list of quantized formats, which files store and kernels read, and rows in one of them.
#pragma once
#include <cstddef>
#include <cstring>
#include <string_view>

#include "iapt/core/block_formats.hpp"
#include "iapt/core/few_level_formats.hpp"
#include "iapt/core/k_quants.hpp"
#include "iapt/core/table_formats.hpp"

namespace iapt {

/// A list of formats.
template <class... Formats>
struct format_list {
  /// Calls f(format) for each format.
  template <class F>
  static constexpr void each(F f) {
    (f(Formats{}), ...);
  }
};
/// All formats. Names, layouts, ids and messages follow from it.
using quantized_formats =
    format_list<four_bit_block<false>, four_bit_block<true>, five_bit_block<false>, five_bit_block<true>,
                eight_bit_block, two_bit_block, three_bit_block, sub_scaled_block<false>, sub_scaled_block<true>,
                six_bit_block, nonlinear_block, nonlinear_sub_scaled_block, mx_block, nv_block, ternary_block,
                ternary_pair_block, sign_block, short_floats<dtype::f16>, short_floats<dtype::bf16>>;

/// Whether there is a format for the type.
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
