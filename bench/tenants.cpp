// SPDX-License-Identifier: Apache-2.0
// Measures an engine that serves many tenants: the flags.
#include "tenants.hpp"

#include "../examples/support/main.hpp"

namespace program {

void tenants_program::add(CLI::App& app) {
  inference_flags::add(app);
  app.add_option("--tenants", tenants, "numbers of tenants, from which Zipf's law draws")->capture_default_str();
  app.add_option("--beams", beams, "numbers of beams of a request")
      ->check(CLI::Range(index_t(1), iapt::generation_options::most_beams))
      ->capture_default_str();
  app.add_option("--requests", requests)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--at-once", at_once, "requests in a step")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--shortest", shortest, "tokens of the shortest prompt")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--longest", longest, "tokens of the longest prompt")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--alike", alike, "tokens of the prompt that two tenants send")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--new", fresh, "tokens to decode")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--temperature", temperature, "0: greedy decoding, as beams need")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--top-p", top_p)->check(CLI::Range(1e-6, 1.0))->capture_default_str();
  app.add_option("--soft-tokens", soft_tokens)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--bottleneck", bottleneck)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--rank", rank, "rank of LoRA; 7 has about as many parameters as a bottleneck of 64")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::tenants_program>(argc, argv); }
