// SPDX-License-Identifier: Apache-2.0
// Continues a prompt, with or without an adapter. Only the generated text goes to standard output.
#include "support/program.hpp"

using namespace iapt;

int main(int argc, char** argv) {
  CLI::App app("Answers a prompt, token by token.");
  program::common_flags common;
  common.add(app);
  std::string adapter, prompt;
  bool chat = false;
  generation_options options;
  app.add_option("--adapter", adapter, "folder of an adapter")->check(program::not_empty());
  app.add_option("--prompt", prompt, "the text to continue")->required();
  app.add_flag("--chat", chat, "the prompt is a user's message: put it through the model's chat template");
  app.add_option("--max-new", options.max_new, "tokens at most")
      ->check(program::between<extent>(1, 1000000))
      ->capture_default_str();
  return program::run(app, argc, argv, [&] {
    program::backend backend{{.threads = common.threads}};
    const auto lm = load_causal_lm<float>(common.model, backend);
    options.stop = program::stop_tokens(lm);
    std::vector<token_id> tokens;
    if (chat) {
      const chat_message message{.role = "user", .content = prompt};
      tokens = lm.chat().encode(lm.tokenizer(), std::span(&message, 1), true);
    } else {
      tokens = lm.tokenizer().encode(prompt);
    }
    if (tokens.empty()) throw error("the prompt has no tokens; give some text to continue");
    program::warn_if_too_long(lm, extent(tokens.size()) + options.max_new, "--prompt with --max-new");
    program::with_adapter(lm, adapter, [&](const auto& method) {
      stream_decoder text(lm.tokenizer());
      generate(lm, method, {tokens}, options,
               [&](std::size_t, token_id id) { std::cout << text.next(id) << std::flush; });
      std::cout << text.finish() << std::endl;
    });
    return 0;
  });
}
