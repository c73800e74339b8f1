// SPDX-License-Identifier: Apache-2.0
// Random rows in every quantized format.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "iapt/core/quantized.hpp"
#include "iapt/core/random.hpp"

namespace iapt::test {

/// All of them.
inline constexpr dtype quantized_types[] = {dtype::q4_0, dtype::q4_1, dtype::q5_0, dtype::q5_1,
                                            dtype::q8_0, dtype::q6_k, dtype::f16,  dtype::bf16};

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
  const bool has_minimum = type == dtype::q4_1 || type == dtype::q5_1;
  for (std::size_t block = 0; block < bytes.size(); block += std::size_t(layout.bytes)) {
    tame(block + (type == dtype::q6_k ? 208 : 0));
    if (has_minimum) tame(block + 2);
  }
  return bytes;
}

}  // namespace iapt::test
