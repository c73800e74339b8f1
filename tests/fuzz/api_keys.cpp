// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the file of API keys: any bytes grant what they say, or are refused with an error of ours.
#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/io/mapped_file.hpp"
#include "support/temporary_folder.hpp"

#include "examples/support/api_keys.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static const test::temporary_folder folder;
  const auto path = folder.write("keys.json", fuzz::text_of(data, size));
  fuzz::refuses_or_reads([&] {
    const program::api_keys keys(path.string());
    (void)keys.find("Bearer key"), (void)keys.find(""), (void)keys.find("Bearer "), (void)keys.find("Basic key");
    (void)keys.find(std::string(fuzz::text_of(data, size)));
  });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_json);
