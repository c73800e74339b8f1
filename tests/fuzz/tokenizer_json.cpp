// SPDX-License-Identifier: Apache-2.0
// Fuzz target of tokenizer.json and tokenizer_config.json: any bytes make a working tokenizer or an error of ours.
#include <cstdlib>
#include <string>
#include <string_view>

#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/text/stream_decoder.hpp"
#include "iapt/text/tokenizer_config.hpp"
#include "iapt/text/tokenizer_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::refuses_or_reads([&] {  // also a pattern that takes too long
    const tokenizer words(parse_tokenizer_json(text, "fuzz.json"));
    for (const auto mode : {special_tokens::recognised, special_tokens::as_text}) {
      const auto ids = words.encode("They've 12 \xC3\xA9t\xC3\xA9s <|im_end|>  \n x", {.special = mode});
      std::string streamed;
      stream_decoder stream(words);
      for (const token_id id : ids) streamed += stream.next(id);
      if (streamed + stream.finish() != words.decode(ids)) std::abort();
    }
    if (utf8::find_invalid(text) == std::string_view::npos) (void)words.encode(text.substr(0, 4096));
  });
  const std::string file(text);
  for (const tokenizer_side_files& files : {tokenizer_side_files{.folder = "fuzz", .model = file, .config = file},
                                            tokenizer_side_files{.folder = "fuzz", .special_tokens_map = file},
                                            tokenizer_side_files{.folder = "fuzz", .added_tokens = file}})
    fuzz::refuses_or_reads([&] {
      tokenizer_spec spec;
      spec.tokens = {"a"};
      read_tokenizer_config(spec, files);
    });
  fuzz::refuses_or_reads([&] { (void)read_eos_token_ids(text, "fuzz_config.json"); });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_json);
