// SPDX-License-Identifier: Apache-2.0
// Continues a prompt, with or without an adapter: the flags. generate.hpp has the program.
#include "generate.hpp"

#include "support/main.hpp"

namespace program {

void generate_program::add(CLI::App& app) {
  adapted_flags::add(app);
  app.add_option("--prompt", prompt, "text to continue")->required();
  app.add_flag("--chat", chat, "format the prompt as a user's message with the model's chat template");
  app.add_option("--max-new", options.max_new, "maximum number of new tokens")
      ->check(between<index_t>(1, 1000000))
      ->capture_default_str();
  sampling_options& s = options.sampling;
  app.add_option("--temperature", s.temperature, "divides the logits; 0: greedy decoding")
      ->check(between<double>(0))
      ->capture_default_str();
  app.add_option("--top-k", s.top_k, "sample from the k likeliest tokens; 0: from all")->check(between<index_t>(0));
  app.add_option("--top-p", s.top_p, "sample from the fewest tokens that have this probability together")
      ->check(between<double>(0, 1))
      ->capture_default_str();
  app.add_option("--min-p", s.min_p,
                 "sample from tokens with at least this fraction of the likeliest token's probability")
      ->check(between<double>(0, 1))
      ->capture_default_str();
  app.add_option("--repetition-penalty", s.repetition_penalty,
                 "penalty for tokens in the prompt or the answer; 1: none")
      ->check(between<double>(0))
      ->capture_default_str();
  app.add_option("--frequency-penalty", s.frequency_penalty, "penalty for a token, for each time that it was generated")
      ->check(between<double>(-2, 2))
      ->capture_default_str();
  app.add_option("--presence-penalty", s.presence_penalty, "penalty for a token that was generated")
      ->check(between<double>(-2, 2))
      ->capture_default_str();
  app.add_option("--seed", s.seed, "seed of the sampling")->check(between<std::uint64_t>(0))->capture_default_str();
  app.add_option("--beams", options.beams, "beams of the search; the best continuation is printed")
      ->check(between<index_t>(1, generation_options::most_beams))
      ->capture_default_str();
  app.add_option("--length-penalty", options.length_penalty,
                 "with beams: the score of n tokens is their log-probability divided by n to this power")
      ->capture_default_str();
  app.add_option("--stop", stop, "text that ends the answer and is not printed; may be given several times")
      ->allow_extra_args(false)
      ->check(not_empty());
  app.add_flag("--skip-special-tokens,!--no-skip-special-tokens", skip_special_tokens,
               "omit control tokens from the text, or print them")
      ->default_val(true);
  app.add_option("--logprobs", options.log_probabilities,
                 "write log-probabilities to standard error, as JSON: of each token and of the N likeliest tokens")
      ->check(between<index_t>(0, most_alternatives));
}

void generate_program::check_flags() const {
  const sampling_options& s = options.sampling;
  options.check();
  if (s.temperature == 0 && (s.top_k > 0 || s.top_p < 1 || s.min_p > 0))
    throw error("--top-k, --top-p and --min-p need a --temperature over 0: without it the likeliest token is taken");
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::generate_program>(argc, argv); }
