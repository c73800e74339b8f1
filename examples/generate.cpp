// SPDX-License-Identifier: Apache-2.0
// Continues a prompt, with or without an adapter: its flags. generate.hpp says what happens.
#include "generate.hpp"

#include <iapt/backend/eigen/backend.hpp>

#include "support/main.hpp"

namespace program {

void generate_program::add(CLI::App& app) {
  common_flags::add(app);
  app.add_option("--adapter", adapter, "folder of an adapter, of train or of PEFT")->check(not_empty());
  app.add_flag("--merge", merge, "add a LoRA adapter to the weights first");
  app.add_option("--prompt", prompt, "the text to continue")->required();
  app.add_flag("--chat", chat, "the prompt is a user's message: put it through the model's chat template");
  app.add_option("--max-new", options.max_new, "tokens at most")
      ->check(between<extent>(1, 1000000))
      ->capture_default_str();
}

}  // namespace program

static const program::device<program::generate_program, iapt::eigen_backend> here("eigen");

int main(int argc, char** argv) { return program::main_of<program::generate_program>(argc, argv); }
