// SPDX-License-Identifier: Apache-2.0
// Continues a prompt, with or without an adapter: its flags. generate.hpp says what happens.
#include "generate.hpp"

#include "support/main.hpp"

namespace program {

void generate_program::add(CLI::App& app) {
  adapted_flags::add(app);
  app.add_option("--prompt", prompt, "the text to continue")->required();
  app.add_flag("--chat", chat, "the prompt is a user's message: put it through the model's chat template");
  app.add_option("--max-new", options.max_new, "tokens at most")
      ->check(between<index_t>(1, 1000000))
      ->capture_default_str();
  sampling_options& s = options.sampling;
  app.add_option("--temperature", s.temperature, "divides the logits; 0: always the likeliest token")
      ->check(between<double>(0))
      ->capture_default_str();
  app.add_option("--top-k", s.top_k, "draw from the k likeliest tokens; 0: from all")->check(between<index_t>(0));
  app.add_option("--top-p", s.top_p, "draw from the fewest tokens of this probability together")
      ->check(between<double>(0, 1))
      ->capture_default_str();
  app.add_option("--min-p", s.min_p, "draw from tokens of at least this fraction of the likeliest one's probability")
      ->check(between<double>(0, 1))
      ->capture_default_str();
  app.add_option("--repetition-penalty", s.repetition_penalty, "of tokens in prompt or answer; 1: none")
      ->check(between<double>(0))
      ->capture_default_str();
  app.add_option("--frequency-penalty", s.frequency_penalty, "of a token, for each time that it was generated")
      ->check(between<double>(-2, 2))
      ->capture_default_str();
  app.add_option("--presence-penalty", s.presence_penalty, "of a token that was generated")
      ->check(between<double>(-2, 2))
      ->capture_default_str();
  app.add_option("--seed", s.seed, "of the draws")->check(between<std::uint64_t>(0))->capture_default_str();
  app.add_option("--beams", options.beams, "continuations that are followed side by side, of which the best is shown")
      ->check(between<index_t>(1, generation_options::most_beams))
      ->capture_default_str();
  app.add_option("--length-penalty", options.length_penalty,
                 "of beams: a continuation of n tokens is worth its log-probability divided by n to this power")
      ->capture_default_str();
  app.add_option("--stop", stop, "text that ends the answer and is not shown; may be given several times")
      ->allow_extra_args(false)
      ->check(not_empty());
  app.add_flag("--skip-special-tokens,!--no-skip-special-tokens", skip_special_tokens,
               "leave control tokens out of the text, or show them")
      ->default_val(true);
  app.add_option("--logprobs", options.log_probabilities,
                 "write log-probabilities to standard error, as JSON: each token's and those of so many likeliest ones")
      ->check(between<index_t>(0, most_alternatives));
}

void generate_program::materialize() const {
  const sampling_options& s = options.sampling;
  options.check();
  if (s.temperature == 0 && (s.top_k > 0 || s.top_p < 1 || s.min_p > 0))
    throw error("--top-k, --top-p and --min-p need a --temperature over 0: without it the likeliest token is taken");
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::generate_program>(argc, argv); }
