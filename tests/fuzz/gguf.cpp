// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the GGUF reader: any bytes are read completely or refused with an error of ours.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "iapt/io/gguf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  try {
    const auto file = gguf_file::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
    for (const auto& [key, value] : file.metadata()) {
      (void)value.as<std::uint32_t>(), (void)value.as<bool>(), (void)value.as<double>(), (void)value.as<std::string>();
      (void)value.as<std::vector<std::string>>(), (void)value.as<std::vector<std::int64_t>>();
      (void)value.as<std::vector<float>>(), (void)value.type_text();
      try {
        (void)file.get<std::int8_t>(key);
      } catch (const io_error&) {}
    }
    for (const stored_tensor& tensor : file.tensors().all()) {
      if (tensor.size() > 1 << 20) continue;
      std::vector<float> numbers(static_cast<std::size_t>(tensor.size()));
      try {
        read_into(tensor, std::span(numbers));
        read_rows_into<float>(tensor, tensor.rows() / 2, 0, {});
      } catch (const io_error&) {  // a type that is not supported
      }
    }
  } catch (const io_error&) {  // a damaged file
  }
  return 0;
}
