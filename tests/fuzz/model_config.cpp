// SPDX-License-Identifier: Apache-2.0
// Fuzz target of config.json: any bytes give sizes that make a model, or an error of ours.
#include <cstdlib>

#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/io/model_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  fuzz::refuses_or_reads([&] {
    const transformer_config c = read_config(config_json::parse(fuzz::text_of(data, size), "config.json"));
    if (c.vocabulary < 1 || c.hidden < 1 || c.layers < 1 || c.heads.kv_heads < 1) std::abort();
  });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_json);
