// SPDX-License-Identifier: Apache-2.0
// Random rows in every quantized format.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "iapt/core/quantized.hpp"
#include "iapt/core/random.hpp"

namespace iapt::test {

/// All of them.
inline const std::vector<dtype> quantized_types = [] {
  std::vector<dtype> types;
  quantized_formats::each([&](auto format) { types.push_back(format.type); });
  return types;
}();

/// Bytes of rows of a type. Quants are anything; what is a float is normal and below 2.
inline std::vector<std::byte> random_rows(dtype type, index_t rows, index_t columns, std::uint64_t seed = 1) {
  const block_layout layout = layout_of(type);
  std::vector<std::byte> bytes(std::size_t(rows * columns / layout.elements * layout.bytes));
  random_stream random(seed, 77);
  for (std::byte& b : bytes) b = std::byte(random.below(256));
  const auto tame = [&](std::size_t at) {
    std::uint16_t bits;
    std::memcpy(&bits, &bytes[at], 2);
    bits = std::uint16_t(type == dtype::bf16 ? (bits & 0x80ff) | 0x3f00 : (bits & 0xbbff) | 0x2000);
    std::memcpy(&bytes[at], &bits, 2);
  };
  for (std::size_t block = 0; block < bytes.size(); block += std::size_t(layout.bytes))
    quantized_formats::each([&]<class Format>(Format) {
      if (Format::type != type) return;
      if constexpr (requires { Format::halves; }) {
        for (const int half : std::set(Format::halves.begin(), Format::halves.end())) tame(block + std::size_t(half));
      } else if constexpr (requires { Format::scales; }) {
        const int least = type == dtype::mxfp4 ? 120 : 0x28;  // of E8M0, of E4M3
        for (const int at : Format::scales) {
          std::byte& scale = bytes[block + std::size_t(at)];
          scale = std::byte(least + (int(scale) & 7));
        }
      } else {
        tame(block);  // a 16-bit float
      }
    });
  return bytes;
}

}  // namespace iapt::test
