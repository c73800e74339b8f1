// SPDX-License-Identifier: Apache-2.0
// Options, callbacks and result of a training run.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "iapt/core/error.hpp"
#include "iapt/core/shape.hpp"
#include "iapt/data/batches.hpp"
#include "iapt/optim/adamw.hpp"
#include "iapt/optim/schedule.hpp"
#include "iapt/train/progress.hpp"

namespace iapt {

/// Options of a training run.
struct train_options {
  index_t epochs = 1;             ///< passes over the training set
  index_t batch = 8;              ///< sequences of a step
  batch_limits micro_batch = {};  ///< largest micro-batch; the gradients of micro-batches are added
  std::uint64_t seed = 0;         ///< seed of the order of the examples
  adamw_options optimizer = {};   ///< learning rates, weight decay, clipping
  decay shape = decay::linear;    ///< decay of the learning rate after the warm-up
  double warm_up = 0.06;          ///< warm-up, as a fraction of all steps
  index_t eval_every = 0;         ///< steps between evaluations; 0: only at the end of each epoch
  index_t patience = 0;           ///< evaluations without a lower dev loss that end the run; 0: no limit
  batch_limits eval_batch = {.tokens = 2048, .responses = 512};  ///< largest batch of an evaluation
  bool bilevel = false;  ///< learn the coefficients on one half of the dev set; the other half stops the run
  group_settings bilevel_coefficients = {.learning_rate = 1e-6};  ///< their settings; their learning rate is constant
  std::filesystem::path out = {};                                 ///< folder of the run; empty: nothing is written
  /// Describes what is trained, an object of plain values (model, method, initial values): a run resumes only if it is
  /// equal.
  nlohmann::ordered_json subject = nlohmann::ordered_json::object();
  bool resume = false;     ///< resume from the checkpoint in `out`, if there is one
  bool overwrite = false;  ///< replace an existing run; without it, a run in `out` is an error
};

/// Checks the options for a training set of `examples` examples, and returns them.
/// @throws error if they are invalid
inline const train_options& checked(const train_options& o, std::size_t examples) {
  if (examples == 0) throw error("train: the training set is empty");
  if (o.epochs < 1 || o.batch < 1)
    throw error("train: epochs and batch must be at least 1, found " + std::to_string(o.epochs) + " and " +
                std::to_string(o.batch));
  if (!(o.warm_up >= 0 && o.warm_up <= 1))
    throw error("train: warm-up is a fraction of all steps, 0 to 1, found " + std::to_string(o.warm_up));
  if (o.resume && o.out.empty()) throw error("train: to resume a run, name its folder");
  return o;
}

/// Callbacks of a run. Each may be empty.
struct train_callbacks {
  /// Writes the method as an adapter folder of this path (out/best, out/last).
  std::function<void(const std::filesystem::path&)> save;
  /// Refuses a folder that `save` cannot replace. Called for both folders before anything is written.
  std::function<void(const std::filesystem::path&)> require_replaceable;
  /// Called after each step.
  std::function<void(const progress_state&)> progress;
  /// Called with messages for the user.
  std::function<void(const std::string&)> say;
  /// Called before the dev set is evaluated.
  std::function<void()> evaluating;
  /// Called after an evaluation. The object that it returns is added to the evaluation's line in metrics.jsonl.
  std::function<nlohmann::ordered_json()> evaluated;
  /// Called after each step; true saves and ends the run.
  std::function<bool()> interrupted;
};

/// Why a run ended.
enum class train_end {
  finished,     ///< all steps are done
  stopped,      ///< the dev loss did not improve in `patience` evaluations
  interrupted,  ///< a callback returned true; `resume` continues
};

/// The result of a run.
struct train_result {
  train_end end = train_end::finished;       ///< why it ended
  index_t steps = 0;                         ///< steps done
  index_t tokens = 0;                        ///< tokens trained on in all steps, instructions included
  double loss = 0;                           ///< loss of the last batch
  std::optional<double> dev_loss = {};       ///< loss of the last evaluation
  std::optional<double> best_dev_loss = {};  ///< lowest dev loss, that of out/best
  index_t best_step = 0;                     ///< step of best_dev_loss
  double seconds = 0;                        ///< duration of the training steps since this start, without evaluations
  double tokens_per_second = 0;              ///< tokens trained on per second of this time
};

}  // namespace iapt
