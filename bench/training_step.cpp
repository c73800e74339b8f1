// SPDX-License-Identifier: Apache-2.0
// Measures training steps: the flags.
#include "training_step.hpp"

#include "../examples/support/main.hpp"

namespace program {

void training_step_program::add(CLI::App& app) {
  common_flags::add(app);
  app.add_option("--placement", where)->check(CLI::IsMember({"front", "late"}))->capture_default_str();
  app.add_option("--batch", batch_size)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--instruction", instruction)->check(CLI::Range(2, 100000))->capture_default_str();
  app.add_option("--response", response)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--steps", steps)->check(CLI::PositiveNumber)->capture_default_str();
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::training_step_program>(argc, argv); }
