// SPDX-License-Identifier: Apache-2.0
// Fuzz target of data to train on: each line becomes an example, or the file is refused with an error of ours.
#include "iapt/data/jsonl.hpp"
#include "data/byte_tokenizer.hpp"
#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/data/choices.hpp"
#include "support/temporary_folder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static const tokenizer words = test::byte_tokenizer();
  static const test::temporary_folder folder;
  const auto path = folder.write("data.jsonl", fuzz::text_of(data, size));
  fuzz::refuses_or_reads([&] { (void)load_jsonl(path, words); });
  fuzz::refuses_or_reads([&] {
    (void)load_jsonl(path, words, {.max_length = 20, .longer = too_long::cut_left, .shortest_instruction = 2});
  });
  fuzz::refuses_or_reads([&] { (void)load_choices(path, words); });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_lines);
