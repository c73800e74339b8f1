// SPDX-License-Identifier: Apache-2.0
// What fuzz targets share: their input as text, as parts, and as files of a folder.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/error.hpp"

namespace iapt::fuzz {

/// The input as text.
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// What became of an input, for the replay of seeds.
struct outcome {
  std::size_t read = 0;      ///< calls of refuses_or_reads that read it
  std::string refusal = {};  ///< the last other one's error
};
/// Of the input at hand.
inline outcome last_outcome;

/// Calls f, which may refuse its input with an error of ours. Any other exception ends the program.
template <class F>
void refuses_or_reads(const F& f) {
  try {
    f();
    ++last_outcome.read;
  } catch (const error& refusal) {  // damaged, or not supported
    last_outcome.refusal = refusal.what();
  }
}

/// The parts of an input that stands for several files: in front of each its length, four bytes, the least first. A
/// length that goes too far takes the rest.
inline std::vector<std::string_view> parts_of(std::string_view input) {
  std::vector<std::string_view> parts;
  while (input.size() >= 4) {
    std::uint32_t length;
    std::memcpy(&length, input.data(), 4);
    parts.push_back(input.substr(4, length));
    input.remove_prefix(4 + parts.back().size());
  }
  return parts;
}

}  // namespace iapt::fuzz
