// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the safetensors reader: any bytes are read or refused with an error of ours.
#include <span>
#include <vector>

#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/io/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  fuzz::refuses_or_reads([&] {
    const auto file = safetensors_file::parse(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
    for (const stored_tensor& tensor : file.tensors().all()) {
      if (tensor.size() > 1 << 20) continue;
      std::vector<double> numbers(static_cast<std::size_t>(tensor.size()));
      fuzz::refuses_or_reads([&] { read_into(tensor, std::span(numbers)); });  // refuses integers
    }
  });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_safetensors);
