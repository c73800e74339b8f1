// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the GGUF reader, and of the sizes and the tokenizer in its metadata: any bytes are read completely or
// refused with an error of ours.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fuzz/support.hpp"
#include "iapt/io/gguf.hpp"
#include "iapt/io/model_config.hpp"
#include "iapt/text/tokenizer.hpp"
#include "iapt/text/tokenizer_gguf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  fuzz::refuses_or_reads([&] {
    const auto file = gguf_file::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
    for (const auto& entry : file.metadata()) {
      const auto& value = entry.second;
      (void)value.as<std::uint32_t>(), (void)value.as<bool>(), (void)value.as<double>(), (void)value.as<std::string>();
      (void)value.as<std::vector<std::string>>(), (void)value.as<std::vector<std::int64_t>>();
      (void)value.as<std::vector<float>>(), (void)value.type_text();
      fuzz::refuses_or_reads([&] { (void)file.get<std::int8_t>(entry.first); });
    }
    for (const stored_tensor& tensor : file.tensors().all()) {
      if (tensor.size() > 1 << 20) continue;
      std::vector<float> numbers(static_cast<std::size_t>(tensor.size()));
      fuzz::refuses_or_reads([&] {  // refuses types that are not supported
        read_into(tensor, std::span(numbers));
        read_rows_into<float>(tensor, tensor.rows() / 2, 0, {});
      });
    }
    fuzz::refuses_or_reads([&] { (void)read_config(file); });
    fuzz::refuses_or_reads([&] {
      const tokenizer words(make_tokenizer_spec(file));
      (void)words.decode(words.encode("They've 12 \xC3\xA9t\xC3\xA9s <|im_end|>  \n x"));
    });
  });
  return 0;
}
