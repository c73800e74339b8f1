// SPDX-License-Identifier: Apache-2.0
// The training loop: steps, evaluations, early stopping, checkpoints.
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/io/folder_lock.hpp"
#include "iapt/train/checkpoint.hpp"
#include "iapt/train/evaluate.hpp"
#include "iapt/train/gradient.hpp"
#include "iapt/train/metrics.hpp"
#include "iapt/train/options.hpp"
#include "iapt/train/run_folder.hpp"
#include "iapt/train/run_machine.hpp"
#include "iapt/train/run_settings.hpp"

namespace iapt {

/// A training run: `trainer(backend, model, method, train_set, dev_set, options, callbacks).run()`.
///
/// A step computes the gradient of one batch, and AdamW updates the parameters. In bi-level learning each step first
/// takes a batch of the dev set's first half, which updates only the activations' coefficients; the training batch then
/// updates all other parameters.
///
/// It writes to `options.out`: the adapters `best` (by dev loss; without a dev set, the last) and `last`, with
/// `callbacks.save`; `metrics.jsonl`; and `checkpoint`, from which `options.resume` continues bit for bit as if the run
/// had never stopped, if `run_machine` is equal. All but the metrics are written at each evaluation, and when the run
/// is interrupted. An existing run is resumed, or replaced if `options.overwrite` is set, or else refused. Only one run
/// at a time may use a folder. At the end the method has the last values.
///
/// The checkpoint decides. It is written first, and when the run resumes, adapters and metrics are made to match it. So
/// a process may be killed at any time.
/// @par Source bi-level learning: Liu et al. 2019, "DARTS", first order
template <class Backend, class Model, class Method>
class trainer {
 public:
  /// Prepares a run. Model, method and training set must outlive it.
  /// @param backend backend of the model
  /// @param model called as model(context, batch, method); returns the logits of the logit rows
  /// @param method owns the parameters: `method.parameters()` is a parameter_list
  /// @param train_set examples to learn from
  /// @param dev_set examples for early stopping and for choosing the best; may be empty
  /// @param options options of the run
  /// @param callbacks callbacks of the run
  /// @throws error for invalid options
  trainer(Backend& backend, const Model& model, Method& method, std::span<const example> train_set,
          std::span<const example> dev_set, const train_options& options = {}, const train_callbacks& callbacks = {})
      : backend_(backend),
        model_(model),
        method_(method),
        train_set_(train_set),
        dev_set_(dev_set.begin(), dev_set.end()),
        options_(checked(options, train_set.size())),
        callbacks_(callbacks),
        settings_(run_settings(options, train_set, dev_set)),
        machine_(run_machine(backend.description(), name_of_weights<Model, number>(), options.eval_batch)),
        order_(train_set.size(), std::size_t(options.batch), options.seed),
        optimizer_(method.parameters(), optimizer_options(options)) {
    const auto parameters = optimizer_.parameters();
    if (parameters.empty()) throw error("train: the method has no parameters, so there is nothing to train");
    steps_ = order_.per_epoch() * options.epochs;
    schedule_ = {options.shape, steps_, warm_up_steps(steps_, options.warm_up)};
    if (options.bilevel) halve_dev_set(parameters);
  }

  /// Runs to the end, from the start or from the checkpoint.
  /// @throws numeric_error if a loss or gradient is not finite, with the step; the last good checkpoint is kept
  /// @throws io_error if a file cannot be written, the checkpoint to resume is damaged, or another run uses the folder
  /// @throws error if the run to resume had other settings, or there is a run and neither resume nor overwrite is set
  train_result run() {
    begin();
    train_end end = out_of_patience() ? train_end::stopped : train_end::finished;
    while (end == train_end::finished && at_.step < steps_) {
      step();
      const bool epoch_ends = at_.step % order_.per_epoch() == 0;
      if (epoch_ends || (options_.eval_every && at_.step % options_.eval_every == 0)) {
        evaluate_dev();
        save();
      }
      if (out_of_patience())
        end = train_end::stopped;
      else if (at_.step < steps_ && callbacks_.interrupted && callbacks_.interrupted())
        end = train_end::interrupted;
    }
    save();
    lock_.reset();
    return {.end = end,
            .steps = at_.step,
            .tokens = at_.tokens,
            .loss = at_.loss,
            .dev_loss = at_.dev_loss,
            .best_dev_loss = at_.best_dev_loss,
            .best_step = at_.best_step,
            .seconds = seconds_,
            .tokens_per_second = speed()};
  }

 private:
  using parameters_type = decltype(std::declval<Method&>().parameters());
  using number = typename decltype(std::declval<typename parameters_type::value_type>().values)::value_type;
  using seconds_clock = std::chrono::steady_clock;
  // Purposes of the random orders of one seed.
  static constexpr std::uint32_t halving = 1, coefficient_batches = 2;

  static adamw_options optimizer_options(const train_options& o) {
    adamw_options chosen = o.optimizer;
    if (o.bilevel) chosen.coefficients = o.bilevel_coefficients;
    return chosen;
  }
  void halve_dev_set(const parameters_type& parameters) {
    if (std::none_of(parameters.begin(), parameters.end(),
                     [](const auto& p) { return p.group == parameter_group::coefficients; }))
      throw error("train: bi-level learning needs a method with learned coefficients (a rational activation)");
    if (dev_set_.size() < 2)
      throw error("train: bi-level learning needs a dev set of at least 2 examples, one for each half; found " +
                  std::to_string(dev_set_.size()));
    std::vector<example> stopping;
    const auto order = shuffled(dev_set_.size(), options_.seed, std::uint64_t(halving) << 32);
    for (std::size_t i = 0; i < order.size(); ++i)
      (i < order.size() / 2 ? coefficient_set_ : stopping).push_back(std::move(dev_set_[order[i]]));
    dev_set_ = std::move(stopping);
    coefficient_order_.emplace(coefficient_set_.size(), std::size_t(options_.batch), options_.seed,
                               coefficient_batches);
  }

  std::filesystem::path checkpoint() const { return options_.out / "checkpoint"; }
  bool out_of_patience() const { return options_.patience > 0 && at_.without_gain >= options_.patience; }
  void say(const std::string& text) const {
    if (callbacks_.say) callbacks_.say(text);
  }

  void begin() {
    if (options_.out.empty()) return;
    make_run_folder(options_.out);
    lock_.emplace(options_.out);
    if (!lock_->certain())
      say("note: " + options_.out.string() + ": this file system has no locks; see that no other run works there");
    const auto run = run_to_resume(options_.out, options_.resume, options_.overwrite);
    if (callbacks_.require_replaceable)
      for (const char* name : {"best", "last"}) callbacks_.require_replaceable(options_.out / name);
    if (run) {
      require_equal_settings(*run, settings_);
      if (run->at.step > steps_)
        throw io_error(checkpoint().string() + ": the run stands at step " + std::to_string(run->at.step) + " of " +
                       std::to_string(steps_) + ", which is not possible");
      load_checkpoint(*run, optimizer_);
      at_ = run->at;
      machines_ = run->machines;
      say("resumed at step " + std::to_string(at_.step) + " of " + std::to_string(steps_) + to_text(*run, machine_));
    } else if (options_.resume) {
      say(checkpoint().string() + ": there is nothing to resume yet; the run begins");
    }
    // Also if it exists: saving removes what a killed writer left beside it.
    save_checkpoint(checkpoint(), at_, settings_, machines_, optimizer_);
    saved_ = at_.step;
    metrics_ = metrics_log(options_.out / "metrics.jsonl", run ? at_.step : -1);
    save_adapters();
  }

  void step() {
    const auto start = seconds_clock::now();
    optimizer_.clear_gradients();  // a failed step may have left some
    remember_machine();
    if (coefficient_order_) learn_coefficients();
    const auto numbers = order_(at_.step);
    const auto batch = add_gradient(backend_, model_, method_, train_set_, numbers, options_.micro_batch);
    const double factor = schedule_(at_.step);
    using factors = typename adamw<number, Backend>::factors;
    const auto [loss, norms] =
        update(batch, coefficient_order_ ? factors{.weights = factor, .coefficients = {}} : factors{factor, factor});
    ++at_.step, at_.tokens += batch.tokens, at_.loss = loss;
    seconds_ += std::chrono::duration<double>(seconds_clock::now() - start).count();
    tokens_now_ += batch.tokens, ++steps_now_;

    nlohmann::ordered_json line{{"step", at_.step},
                                {"epoch", double(at_.step) / double(order_.per_epoch())},
                                {"loss", loss},
                                {"learning_rate", options_.optimizer.learning_rate * factor},
                                {"gradient_norm", norms.weights}};
    line["coefficient_gradient_norm"] = coefficient_order_ ? coefficient_norm_ : norms.coefficients;
    if (coefficient_order_) line["coefficient_loss"] = coefficient_loss_;
    line["tokens"] = at_.tokens;
    metrics_.write(line);
    if (callbacks_.progress)
      callbacks_.progress({.step = at_.step,
                           .steps = steps_,
                           .loss = at_.loss,
                           .dev_loss = at_.dev_loss,
                           .tokens_per_second = speed(),
                           .seconds_left = seconds_ / double(steps_now_) * double(steps_ - at_.step)});
  }

  // Adds what computes this step. A checkpoint of version 0.1 does not know it of earlier steps: then it stays unknown.
  void remember_machine() {
    if (machines_.is_array() && std::find(machines_.begin(), machines_.end(), machine_) == machines_.end())
      machines_.push_back(machine_);
  }
  // The upper level: the weights are constants, their gradients are discarded.
  void learn_coefficients() {
    const auto numbers = (*coefficient_order_)(at_.step);
    const auto batch = add_gradient(backend_, model_, method_, std::span<const example>(coefficient_set_), numbers,
                                    options_.micro_batch);
    const auto [loss, norms] = update(batch, {.weights = {}, .coefficients = 1.0}, "loss of the coefficients' batch");
    coefficient_loss_ = loss, coefficient_norm_ = norms.coefficients;
  }

  // The batch's loss and the gradients' norms. Everything is enqueued before the one host synchronisation.
  std::pair<double, per_group<double>> update(const auto& batch, const typename adamw<number, Backend>::factors& factor,
                                              const std::string& what = "loss") {
    try {
      optimizer_.measure(factor);
      const double loss = batch.wait();
      if (!std::isfinite(loss)) throw numeric_error("the " + what + " is not finite (" + std::to_string(loss) + ")");
      return {loss, optimizer_.step(factor)};
    } catch (const numeric_error& failure) {
      throw numeric_error("train: step " + std::to_string(at_.step + 1) + ": " + failure.what() + advice());
    }
  }
  std::string advice() const {
    char rate[40];
    std::snprintf(rate, sizeof rate, "%.3g", options_.optimizer.learning_rate * schedule_(at_.step));
    std::string text = std::string("\n      the likely cause is the learning rate (") + rate +
                       " at this step): try a third of it, or a longer warm-up";
    if (saved_ > 0)
      text += "\n      the last good checkpoint is kept: " + checkpoint().string() + ", step " + std::to_string(saved_);
    return text;
  }

  void evaluate_dev() {
    if (dev_set_.empty()) return;
    evaluation found;
    if (callbacks_.evaluating) callbacks_.evaluating();
    try {
      found =
          evaluate(backend_, model_, std::as_const(method_), std::span<const example>(dev_set_), options_.eval_batch);
    } catch (const numeric_error& failure) {
      throw numeric_error("train: after step " + std::to_string(at_.step) + ": " + failure.what() + advice());
    }
    at_.dev_loss = found.loss;
    const bool better = !at_.best_dev_loss || found.loss < *at_.best_dev_loss;
    if (better) {
      at_.best_dev_loss = found.loss, at_.best_step = at_.step, at_.without_gain = 0;
    } else {
      ++at_.without_gain;
    }
    nlohmann::ordered_json line{{"step", at_.step}, {"dev_loss", found.loss}, {"best_dev_loss", *at_.best_dev_loss}};
    if (callbacks_.evaluated) line.update(callbacks_.evaluated());
    metrics_.write(line);
    say("step " + std::to_string(at_.step) + ": dev loss " + shown(found.loss) + (better ? ", the best so far" : ""));
  }

  void save() {
    if (options_.out.empty() || saved_ == at_.step) return;
    metrics_.sync();
    save_checkpoint(checkpoint(), at_, settings_, machines_, optimizer_);
    saved_ = at_.step;
    save_adapters();
  }
  // Writes the adapters of the checkpoint. Until an evaluation has chosen one, `best` is the last.
  void save_adapters() const {
    if (!callbacks_.save) return;
    callbacks_.save(options_.out / "last");
    if (!at_.best_dev_loss || at_.best_step == at_.step) callbacks_.save(options_.out / "best");
  }

  static std::string shown(double loss) {
    char text[40];
    std::snprintf(text, sizeof text, "%.4f", loss);
    return text;
  }
  double speed() const { return seconds_ > 0 ? double(tokens_now_) / seconds_ : 0; }

  Backend& backend_;
  const Model& model_;
  Method& method_;
  std::span<const example> train_set_;
  std::vector<example> dev_set_, coefficient_set_;
  train_options options_;
  train_callbacks callbacks_;
  nlohmann::ordered_json settings_;
  nlohmann::json machine_;                             // run_machine() of this process
  nlohmann::json machines_ = nlohmann::json::array();  // run_machine() of all steps so far
  std::optional<folder_lock> lock_;                    // lock of its folder, if any, while it runs
  batch_order order_;
  std::optional<batch_order> coefficient_order_;  // in bi-level learning only
  adamw<number, Backend> optimizer_;
  index_t steps_ = 0, saved_ = -1;
  schedule schedule_;
  run_position at_;
  metrics_log metrics_;
  double seconds_ = 0, coefficient_loss_ = 0, coefficient_norm_ = 0;
  index_t tokens_now_ = 0, steps_now_ = 0;
};

}  // namespace iapt
