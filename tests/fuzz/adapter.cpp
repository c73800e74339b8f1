// SPDX-License-Identifier: Apache-2.0
// Fuzz target of adapter folders, ours and PEFT's: any two files are an adapter of the backbone, or an error of ours.
// The input is adapter_config.json and the tensors (parts_of); FINGERPRINT in the first stands for the backbone's.
#include "iapt/io/adapter.hpp"

#include "data/byte_tokenizer.hpp"
#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/backend/eigen/backend.hpp"
#include "support/temporary_folder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static eigen_backend backend({.threads = 1});
  static const language_model<float, eigen_backend> lm(
      load_backbone<float>(IAPT_TEST_DATA "/models/llama_grouped", backend), test::byte_tokenizer(), "llama_grouped");
  static const test::temporary_folder folder;
  auto parts = fuzz::parts_of(fuzz::text_of(data, size));
  parts.resize(2);
  std::string config(parts[0]);
  if (const auto at = config.find("FINGERPRINT"); at != config.npos) config.replace(at, 11, lm.fingerprint());
  folder.write("adapter_config.json", config);
  folder.write("adapter.safetensors", parts[1]);
  folder.write("adapter_model.safetensors", parts[1]);
  fuzz::refuses_or_reads([&] { with_adapter(lm, folder.path(), [](auto&& method) { (void)method.parameters(); }); });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_folder);
