// SPDX-License-Identifier: Apache-2.0
// Continues a prompt, with or without an adapter, on any device. generate.cpp reads the flags.
#pragma once
#include "support/program.hpp"

namespace program {
using namespace iapt;

/// The program, as its flags describe it. Only the generated text goes to standard output.
struct generate_program : common_flags {
  static constexpr auto purpose = "Answers a prompt, token by token.";
  std::string adapter, prompt;
  bool chat = false, merge = false;
  generation_options options;

  void add(CLI::App& app);
  template <class Backend>
  int run(Backend& backend) const;
};

template <class Backend>
int generate_program::run(Backend& backend) const {
  const auto lm = load_causal_lm<float>(model, backend);
  generation_options limits = options;
  limits.stop = stop_tokens(lm);
  std::vector<token_id> tokens;
  if (chat) {
    const chat_message message{.role = "user", .content = prompt};
    tokens = lm.chat().encode(lm.tokenizer(), std::span(&message, 1), true);
  } else {
    tokens = lm.tokenizer().encode(prompt);
  }
  if (tokens.empty()) throw error("the prompt has no tokens; give some text to continue");
  warn_if_too_long(lm, extent(tokens.size()) + options.max_new, "--prompt with --max-new");
  with_adapter(lm, adapter, merge, [&](const auto& model, const auto& method) {
    stream_decoder text(lm.tokenizer());
    generate(model, method, {tokens}, limits,
             [&](std::size_t, token_id id) { std::cout << text.next(id) << std::flush; });
    std::cout << text.finish() << std::endl;
  });
  return 0;
}

}  // namespace program
