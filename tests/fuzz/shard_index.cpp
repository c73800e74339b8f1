// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the index of shards: no shard's name leads out of the folder.
#include <cstdlib>

#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/io/weights.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  fuzz::refuses_or_reads([&] {
    for (const auto& [tensor, shard] : parse_shard_index(fuzz::text_of(data, size), "fuzz.json"))
      if (shard.find('/') != shard.npos || shard.empty() || shard == "..") std::abort();
  });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_json);
