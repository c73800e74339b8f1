// SPDX-License-Identifier: Apache-2.0
// The settings that must be equal to resume a run, as one JSON object.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "iapt/core/fnv1a.hpp"
#include "iapt/data/example.hpp"
#include "iapt/train/options.hpp"

namespace iapt {

/// A hash of the examples' tokens.
inline std::string fingerprint(std::span<const example> examples) {
  fnv1a hash;
  for (const example& e : examples) {
    hash.add(std::uint64_t(e.instruction.size())), hash.add(std::uint64_t(e.response.size()));
    for (token_id t : e.instruction) hash.add(std::uint64_t(t));
    for (token_id t : e.response) hash.add(std::uint64_t(t));
  }
  return hash.text();
}

/// The settings that a run's results depend on. The size of evaluation batches is not one of them but part of
/// `run_machine`: it changes only the rounding of the dev loss, and a run that ran out of memory must be able to
/// resume.
inline nlohmann::ordered_json run_settings(const train_options& o, std::span<const example> train_set,
                                           std::span<const example> dev_set) {
  const group_settings coefficients =
      o.bilevel ? o.bilevel_coefficients
                : o.optimizer.coefficients.value_or(
                      group_settings{o.optimizer.learning_rate, o.optimizer.weight_decay, o.optimizer.clip_norm});
  nlohmann::ordered_json all{{"train_examples", train_set.size()},
                             {"train_data", fingerprint(train_set)},
                             {"dev_examples", dev_set.size()},
                             {"dev_data", fingerprint(dev_set)},
                             {"epochs", o.epochs},
                             {"batch", o.batch},
                             {"micro_batch_sequences", o.micro_batch.sequences},
                             {"micro_batch_tokens", o.micro_batch.tokens},
                             {"micro_batch_responses", o.micro_batch.responses},
                             {"seed", o.seed},
                             {"learning_rate", o.optimizer.learning_rate},
                             {"weight_decay", o.optimizer.weight_decay},
                             {"clip_norm", o.optimizer.clip_norm},
                             {"coefficient_learning_rate", coefficients.learning_rate},
                             {"coefficient_weight_decay", coefficients.weight_decay},
                             {"coefficient_clip_norm", coefficients.clip_norm},
                             {"betas", {o.optimizer.beta1, o.optimizer.beta2}},
                             {"epsilon", o.optimizer.epsilon},
                             {"decay", int(o.shape)},
                             {"warm_up", o.warm_up},
                             {"eval_every", o.eval_every},
                             {"patience", o.patience},
                             {"bilevel", o.bilevel}};
  all.update(o.subject);
  return all;
}

}  // namespace iapt
