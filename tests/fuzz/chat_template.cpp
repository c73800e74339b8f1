// SPDX-License-Identifier: Apache-2.0
// Fuzz target of chat templates: a known one encodes a conversation, any other is an error of ours.
#include <array>

#include "data/byte_tokenizer.hpp"
#include "fuzz/support.hpp"
#include "iapt/text/chat_template.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static const tokenizer words = test::byte_tokenizer();
  fuzz::refuses_or_reads([&] {
    const chat_template chat(fuzz::text_of(data, size), "fuzz.jinja");
    const std::array<chat_message, 2> messages{{{"user", "Say \xC3\xA9t\xC3\xA9 <|im_end|>"}, {"assistant", ""}}};
    (void)chat.encode(words, messages, true), (void)chat.encode_reply(words, "x"), (void)chat.end_of_turn(words);
  });
  return 0;
}
