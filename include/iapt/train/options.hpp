// SPDX-License-Identifier: Apache-2.0
// What a training run is told, and what it tells.
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

/// How a run goes.
struct train_options {
  index_t epochs = 1;             ///< times each example is seen
  index_t batch = 8;              ///< sequences in a step
  batch_limits micro_batch = {};  ///< what goes through the model at once; gradients of the pieces are added up
  std::uint64_t seed = 0;         ///< of the order of the examples
  adamw_options optimizer = {};   ///< learning rates, weight decay, clipping
  decay shape = decay::linear;    ///< of the learning rate, after the warm-up
  double warm_up = 0.06;          ///< fraction of all steps in which the learning rate rises
  index_t eval_every = 0;         ///< steps between evaluations; 0: only at the end of each epoch
  index_t patience = 0;           ///< evaluations without a better dev loss that end the run; 0: any number
  batch_limits eval_batch = {.tokens = 2048,
                             .responses = 512};  ///< what goes through the model at once when evaluating
  bool bilevel = false;  ///< learn the coefficients on one half of the dev set; the other half stops the run
  group_settings bilevel_coefficients = {.learning_rate = 1e-6};  ///< for them then; their learning rate is constant
  std::filesystem::path out = {};                                 ///< folder of the run; empty: nothing is written
  /// What is trained, an object of plain values (model, method, starting values): a run resumes only where it is equal.
  nlohmann::ordered_json subject = nlohmann::ordered_json::object();
  bool resume = false;     ///< go on from the checkpoint in `out`, if there is one
  bool overwrite = false;  ///< replace a run that is there; without it, a run in `out` is an error
};

/// The same options, where they make sense for a training set of so many examples.
/// @throws error if they do not
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

/// What a run calls. Every member may be empty.
struct train_callbacks {
  /// Writes the method as an adapter folder of this name (out/best, out/last).
  std::function<void(const std::filesystem::path&)> save;
  /// Refuses a folder that `save` could not replace. It is called of both before anything is written.
  std::function<void(const std::filesystem::path&)> require_replaceable;
  /// After each step.
  std::function<void(const progress_state&)> progress;
  /// Messages for the user.
  std::function<void(const std::string&)> say;
  /// Before the dev set is evaluated.
  std::function<void()> evaluating;
  /// After it: what it returns, an object, joins the evaluation's line in metrics.jsonl.
  std::function<nlohmann::ordered_json()> evaluated;
  /// Asked after each step: whether to save and end.
  std::function<bool()> interrupted;
};

/// Why a run ended.
enum class train_end {
  finished,     ///< all steps were done
  stopped,      ///< the dev loss got no better for `patience` evaluations
  interrupted,  ///< it was asked to; `resume` continues
};

/// What a run reached.
struct train_result {
  train_end end = train_end::finished;       ///< why it ended
  index_t steps = 0;                         ///< steps done
  index_t tokens = 0;                        ///< tokens trained on, instructions included, in all steps
  double loss = 0;                           ///< of the last batch
  std::optional<double> dev_loss = {};       ///< of the last evaluation
  std::optional<double> best_dev_loss = {};  ///< the best, which out/best belongs to
  index_t best_step = 0;                     ///< step of the best
  double seconds = 0;                        ///< in training steps since this start, evaluations not counted
  double tokens_per_second = 0;              ///< in them
};

}  // namespace iapt
