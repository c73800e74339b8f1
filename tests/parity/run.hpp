// SPDX-License-Identifier: Apache-2.0
// One run of IAPT on a random model, the same on every backend: what it computes crosses as double.
#pragma once
#include <vector>

#include "iapt/model/random.hpp"
#include "iapt/ops/cross_entropy.hpp"
#include "iapt/optim/adamw.hpp"
#include "iapt/peft/iapt/method.hpp"

namespace iapt::test {

/// What is run.
struct parity_task {
  transformer_config shape;
  placement where = placement::front;
  int steps = 1;
};
/// What came of it.
struct parity_run {
  std::vector<double> logits;     ///< of the base model
  std::vector<double> gradients;  ///< of the first step, one parameter behind the other
  std::vector<double> losses;     ///< of each step
  std::vector<double> trained;    ///< parameters after the last
};

/// Three sequences of 7 to 40 tokens, of which the last few are to be learned.
inline packed_batch parity_batch(const transformer_config& shape) {
  packed_batch batch;
  random_stream random(5);
  const auto tokens = [&](int count) {
    std::vector<token_id> ids(count);
    for (token_id& id : ids) id = token_id(random.below(std::uint64_t(shape.vocabulary)));
    return ids;
  };
  batch.add(tokens(30), tokens(10));
  batch.add(tokens(5), tokens(2));
  batch.add(tokens(17), tokens(9));
  return batch;
}

/// Runs a task in numbers of type T; the backbone's may be of fewer bits.
template <class T, class Stored = T, class Backend>
parity_run run_task(Backend& backend, const parity_task& task) {
  parity_run run;
  const auto append = [](std::vector<double>& to, const auto& x) {
    for (const auto v : to_host(x)) to.push_back(double(v));
  };
  const auto lm = random_causal_lm<Stored>(backend, task.shape);
  const packed_batch batch = parity_batch(task.shape);
  inference<Backend> infer(backend);
  append(run.logits, lm(infer, batch));
  auto method = make_iapt<key_value_generator<T, Backend>>(
      lm, {.soft_tokens = 4, .bottleneck = 16, .where = task.where, .start = prompt_start::random});
  // Small enough that a run is not chaotic: with five times as much, rounding grows to a tenth of the loss in 35 steps.
  adamw optimizer(method.parameters(), {.learning_rate = 1e-4});
  for (int step = 0; step < task.steps; ++step) {
    tape<Backend> t(backend);
    const auto loss = t(cross_entropy(lm(t, batch, method), row_indices<Backend>(backend, batch.targets)));
    t.backward(loss);
    append(run.losses, loss);
    if (step == 0)
      for (const auto& p : method.parameters()) append(run.gradients, p.values.gradient());
    optimizer.step();
  }
  for (const auto& p : method.parameters()) append(run.trained, p.values);
  return run;
}

/// The same on the Eigen backend, in a translation unit of its own: a GPU's compiler need not read Eigen.
parity_run run_on_eigen(const parity_task& task, bool in_double);

}  // namespace iapt::test
