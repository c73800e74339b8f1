// SPDX-License-Identifier: Apache-2.0
// From the command line to a program with a model, on the device that it names.
#pragma once
#include "command_line.hpp"
#include "device.hpp"
#include "program.hpp"

namespace program {

inline void common_flags::add(CLI::App& app) {
  app.add_option("--model", model, "a .gguf file or a Hugging Face folder")->required()->check(not_empty());
  app.add_option("--device", device, "where it runs: the processor by Eigen or by Thrust, or a GPU")
      ->check(CLI::IsMember({"eigen", "thrust", "cuda"}))
      ->capture_default_str();
  app.add_option("--dtype", dtype,
                 "what weights and rows are stored as; bfloat16 is a GPU's default, and only a GPU has it")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--threads", threads, "threads of the processor to use; 0: all")
      ->check(between<int>(0, 1024))
      ->capture_default_str();
}
inline void inference_flags::add(CLI::App& app) {
  common_flags::add(app);
  app.add_flag("--expand-weights", expand_weights, "decode the file's quantized weights once, into memory");
  app.add_flag("--batch-invariant", batch_invariant,
               "results do not depend on the rest of the batch, in any bit; slower, and only on --device eigen");
  app.add_flag("--bit-for-bit", batch_invariant)->group("");  // its name in version 0.1
}
inline void adapted_flags::add(CLI::App& app) {
  inference_flags::add(app);
  app.add_option("--adapter", adapter, "folder of an adapter, of train or of PEFT")->check(not_empty());
  app.add_flag("--merge", merge, "add a LoRA adapter to the weights first");
}

/// The main function of a program: flags, what they mean together, and the run.
template <class Program>
int main_of(int argc, char** argv) {
  CLI::App app(Program::purpose);
  Program program;
  program.add(app);
  return run(app, argc, argv, [&] {
    if constexpr (requires { program.materialize(); }) program.materialize();
    return run_on_device(program);
  });
}

}  // namespace program
