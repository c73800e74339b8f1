// SPDX-License-Identifier: Apache-2.0
// Measures prefill and decoding: the flags.
#include "generation.hpp"

#include "../examples/support/main.hpp"

namespace program {

void generation_program::add(CLI::App& app) {
  inference_flags::add(app);
  app.add_option("--prompt", prompt, "tokens of the prompt")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--new", fresh, "tokens to decode")->check(CLI::PositiveNumber)->capture_default_str();
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::generation_program>(argc, argv); }
