// SPDX-License-Identifier: Apache-2.0
// Trains IAPT or another method on your own model and JSONL: the flags. train.hpp has the program.
#include "train.hpp"

#include <iapt/backend/eigen/backend.hpp>
#include <iapt/peft/known_methods.hpp>

#include "support/main.hpp"
#include "support/method_flags.hpp"

namespace program {

void train_program::add(CLI::App& app) {
  common_flags::add(app);
  app.add_option("--train", train, "JSONL with training data")->required()->check(not_empty());
  app.add_option("--dev", dev, "JSONL whose loss selects the best adapter")->check(not_empty());
  app.add_option("--out", out, "folder for the adapter, the metrics and the checkpoint")
      ->required()
      ->check(not_empty());
  app.add_option("--epochs", options.epochs)->check(between<index_t>(1, 1000000))->capture_default_str();
  app.add_option("--batch", options.batch, "sequences of a step")
      ->check(between<index_t>(1, 1000000))
      ->capture_default_str();
  app.add_option("--micro-batch-tokens", micro_batch_tokens,
                 "maximum number of tokens of a micro-batch; 0: the whole batch")
      ->check(between<index_t>(0));
  app.add_option("--learning-rate", learning_rate)->check(between<double>(0))->capture_default_str();
  app.add_option("--coefficient-learning-rate", coefficient_learning_rate,
                 "learning rate of the learned activations; default 1e-3, with --bilevel 1e-6")
      ->check(between<double>(0));
  app.add_option("--schedule", schedule)->check(CLI::IsMember({"constant", "linear", "cosine"}))->capture_default_str();
  app.add_option("--warm-up", options.warm_up, "warm-up as a fraction of the steps")
      ->check(between<double>(0, 1))
      ->capture_default_str();
  app.add_option("--seed", options.seed)->check(between<std::uint64_t>(0))->capture_default_str();
  app.add_option("--eval-every", options.eval_every, "steps between evaluations; 0: after each epoch")
      ->check(between<index_t>(0));
  app.add_option("--patience", options.patience,
                 "the run ends after so many evaluations without a better dev loss; 0: never")
      ->check(between<index_t>(0));
  app.add_option("--start-text", start_text,
                 "text that --init text starts from, with at least as many tokens as soft tokens; default: the first "
                 "lines of --train");
  app.add_option("--max-length", max_length,
                 "maximum number of tokens of a sequence; longer ones are reported and left out")
      ->check(between<index_t>(2))
      ->capture_default_str();
  app.add_flag("--cut-left", cut_left, "cut longer instructions on the left instead of leaving them out");
  app.add_flag("--recompute", recompute, "recompute layers in the backward pass: less memory, a third more time");
  app.add_flag("--bilevel", options.bilevel, "train the activations on half of --dev");
  app.add_flag("--resume", options.resume, "continue from the checkpoint in --out");
  app.add_flag("--overwrite", options.overwrite, "replace the run in --out");
  add_method_flags<known_methods<float, eigen_backend>>(app, method, given);
}

void train_program::check_flags() {
  options.out = out;
  options.shape = decay_of(schedule);
  options.micro_batch.tokens = micro_batch_tokens;
  options.optimizer.learning_rate = learning_rate;
  options.optimizer.coefficients = group_settings{.learning_rate = coefficient_learning_rate.value_or(1e-3)};
  options.bilevel_coefficients.learning_rate = coefficient_learning_rate.value_or(1e-6);
  if (options.bilevel && dev.empty()) throw error("--bilevel needs --dev");
}

}  // namespace program

int main(int argc, char** argv) { return program::main_of<program::train_program>(argc, argv); }
