// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the safetensors reader and of the index of shards: any bytes are read or refused with an error of
// ours.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "iapt/io/safetensors.hpp"
#include "iapt/io/weights.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  try {
    const auto file = safetensors_file::parse(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
    for (const stored_tensor& tensor : file.tensors().all()) {
      if (tensor.size() > 1 << 20) continue;
      std::vector<double> numbers(static_cast<std::size_t>(tensor.size()));
      try {
        read_into(tensor, std::span(numbers));
      } catch (const io_error&) {  // integers
      }
    }
  } catch (const io_error&) {  // a damaged file
  }
  try {
    for (const auto& [tensor, shard] : parse_shard_index({reinterpret_cast<const char*>(data), size}, "fuzz.json"))
      if (shard.find('/') != shard.npos || shard.empty() || shard == "..") __builtin_trap();
  } catch (const io_error&) {}
  return 0;
}
