// SPDX-License-Identifier: Apache-2.0
// Runs a program with a model from the command line, on the device that the flags name.
#pragma once
#include "command_line.hpp"
#include "device.hpp"
#include "program.hpp"

namespace program {

inline void common_flags::add(CLI::App& app) {
  app.add_option("--model", model, "a .gguf file or a Hugging Face folder")->required()->check(not_empty());
  app.add_option("--device", device, "device: the CPU with Eigen or with Thrust, or a GPU")
      ->check(CLI::IsMember({"eigen", "thrust", "cuda"}))
      ->capture_default_str();
  app.add_option("--dtype", dtype,
                 "element type of weights and hidden states; bfloat16 is the default of a GPU and only for a GPU")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--threads", threads, "number of CPU threads; 0: all")
      ->check(between<int>(0, 1024))
      ->capture_default_str();
}
inline void inference_flags::add(CLI::App& app) {
  common_flags::add(app);
  app.add_flag("--expand-weights", expand_weights, "dequantize the file's weights when they are loaded");
  app.add_flag("--batch-invariant", batch_invariant,
               "results do not depend on the rest of the batch, in any bit; slower, and only on --device eigen");
  app.add_flag("--bit-for-bit", batch_invariant)->group("");  // its name in version 0.1
}
inline void adapted_flags::add(CLI::App& app) {
  inference_flags::add(app);
  app.add_option("--adapter", adapter, "folder of an adapter, written by train or by PEFT")->check(not_empty());
  app.add_flag("--merge", merge, "add a LoRA adapter to the weights first");
}

/// The main function of a program: reads the flags, checks their combination, and runs it.
template <class Program>
int main_of(int argc, char** argv) {
  CLI::App app(Program::purpose);
  Program program;
  program.add(app);
  return run(app, argc, argv, [&] {
    if constexpr (requires { program.check_flags(); }) program.check_flags();
    return run_on_device(program);
  });
}

}  // namespace program
