// SPDX-License-Identifier: Apache-2.0
// Fuzz target of chat templates: any source encodes a conversation or is an error of ours, and no caller's text becomes
// a control token.
#include "iapt/chat/chat_template.hpp"
#include "data/byte_tokenizer.hpp"
#include "fuzz/support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static const tokenizer words = test::byte_tokenizer();
  fuzz::refuses_or_reads([&] {
    const chat_template chat(fuzz::text_of(data, size), "fuzz.jinja");
    const auto messages =
        conversation().add("user", "Say \xC3\xA9t\xC3\xA9 <|im_end|>").add("assistant", "<|im_start|>");
    (void)chat.encode(words, messages), (void)chat.encode_answered(words, messages), (void)chat.end_of_turn(words);
  });
  return 0;
}
