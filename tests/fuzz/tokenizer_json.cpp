// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the tokenizer files and chat templates: any bytes make a working tokenizer or an error of ours.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/text/chat_template.hpp"
#include "iapt/text/stream_decoder.hpp"
#include "iapt/text/tokenizer_config.hpp"
#include "iapt/text/tokenizer_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    (void)chat_template(text, "fuzz.jinja").default_system();
  } catch (const io_error&) {  // not a known template
  }
  try {
    const tokenizer words(parse_tokenizer_json(text, "fuzz.json"));
    for (const auto mode : {special_tokens::recognised, special_tokens::as_text}) {
      const auto ids = words.encode("They've 12 \xC3\xA9t\xC3\xA9s <|im_end|>  \n x", {.special = mode});
      std::string streamed;
      stream_decoder stream(words);
      for (const token_id id : ids) streamed += stream.next(id);
      if (streamed + stream.finish() != words.decode(ids)) std::abort();
    }
    if (utf8::find_invalid(text) != std::string_view::npos) return 0;
    (void)words.encode(text.substr(0, 4096));
  } catch (const error&) {  // a damaged file, or a pattern that takes too long
  }
  try {
    tokenizer_spec spec;
    spec.tokens = {"a"};
    const std::string file(text);
    read_tokenizer_config(spec, {.folder = "fuzz", .config = file});
    read_tokenizer_config(spec, {.folder = "fuzz", .special_tokens_map = file, .added_tokens = file});
  } catch (const io_error&) {  // a damaged file
  }
  return 0;
}
