// SPDX-License-Identifier: Apache-2.0
// A tokenizer whose tokens are bytes, for tests that need one but no model.
#pragma once
#include <string>

#include "iapt/text/byte_alphabet.hpp"
#include "iapt/text/tokenizer.hpp"

namespace iapt::test {

/// Tokens 0 to 255 are the bytes; then come <|im_start|> (256), <|im_end|> (257, which also ends a text).
inline tokenizer byte_tokenizer(bool with_chat = true) {
  tokenizer_spec spec;
  spec.source = "bytes";
  for (int byte = 0; byte < 256; ++byte)
    spec.tokens.push_back(byte_alphabet::from_bytes(std::string(1, static_cast<char>(byte))));
  spec.tokens.push_back("<|im_start|>");
  spec.tokens.push_back("<|im_end|>");
  spec.added = {{.id = 256, .text = "<|im_start|>"}, {.id = 257, .text = "<|im_end|>"}};
  spec.eos = 257;
  if (with_chat)
    spec.chat_template =
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
        "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  return tokenizer(std::move(spec));
}

}  // namespace iapt::test
