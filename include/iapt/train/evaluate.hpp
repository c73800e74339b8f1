// SPDX-License-Identifier: Apache-2.0
// Evaluation: how well a model predicts responses.
#pragma once
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "iapt/core/error.hpp"
#include "iapt/data/batches.hpp"
#include "iapt/data/example.hpp"
#include "iapt/ops/cross_entropy.hpp"

namespace iapt {

/// Loss of one response.
struct response_loss {
  double sum = 0;      ///< −log probability of the response, end token included, in nats
  index_t tokens = 0;  ///< number of its tokens, end token included
};

/// The result of an evaluation.
struct evaluation {
  double loss = 0;                      ///< mean over all response tokens, in nats
  index_t tokens = 0;                   ///< number of response tokens
  std::vector<response_loss> examples;  ///< loss of each response, in order
};

/// Losses of the responses of one batch, in the batch's order.
template <class Model, class Method, class Backend>
std::vector<response_loss> response_losses(Backend& backend, const Model& model, const Method& method,
                                           const packed_batch& batch) {
  inference<Backend> ctx(backend);
  const auto logits = model(ctx, batch, method);
  const auto losses = to_host(ctx(token_losses(logits, row_indices<Backend>(backend, batch.targets))));
  std::vector<response_loss> found;
  std::size_t at = 0;
  for (const packed_sequence& s : batch.sequences) {
    response_loss one{.sum = 0, .tokens = s.count - s.instruction + 1};
    for (index_t i = 0; i < one.tokens; ++i) one.sum += double(losses[at++]);
    found.push_back(one);
  }
  return found;
}

/// The losses of examples.
/// @param backend backend of the model
/// @param model called as model(context, batch, method); returns the logits of the logit rows
/// @param method its method, or no_method: the base model
/// @param examples instructions with their responses
/// @param limits largest batch of a forward pass
/// @throws numeric_error if the loss is not finite
template <class Model, class Method, class Backend>
evaluation evaluate(Backend& backend, const Model& model, const Method& method, std::span<const example> examples,
                    const batch_limits& limits = {.tokens = 2048, .responses = 512}) {
  std::vector<std::size_t> all(examples.size());
  std::iota(all.begin(), all.end(), std::size_t(0));
  evaluation result;
  for (const packed_batch& batch : pack_within(examples, all, limits))
    for (const response_loss& one : response_losses(backend, model, method, batch)) result.examples.push_back(one);
  for (const response_loss& one : result.examples) result.loss += one.sum, result.tokens += one.tokens;
  if (result.tokens) result.loss /= double(result.tokens);
  if (!std::isfinite(result.loss))
    throw numeric_error("evaluate: the loss is not finite; the parameters have diverged (learning rate too high?)");
  return result;
}

/// The result of an evaluation by choices.
struct choice_evaluation {
  double accuracy = 0;              ///< fraction of questions with the right choice
  double loss = 0;                  ///< mean over all tokens of the right choices, in nats
  index_t tokens = 0;               ///< number of tokens of the right choices
  std::vector<std::size_t> chosen;  ///< likeliest choice of each question; of equal ones the first
};

/// Finds the choice that the model rates likeliest, by the sum of its tokens' log-likelihoods, end token included.
/// @param backend backend of the model
/// @param model called as model(context, batch, method); returns the logits of the logit rows
/// @param method its method, or no_method: the base model
/// @param questions questions with their choices
/// @param limits largest batch of a forward pass
/// @throws numeric_error if a loss is not finite
template <class Model, class Method, class Backend>
choice_evaluation evaluate_choices(Backend& backend, const Model& model, const Method& method,
                                   std::span<const choice_example> questions,
                                   const batch_limits& limits = {.tokens = 2048, .responses = 512}) {
  std::vector<example> flat;
  for (const choice_example& q : questions)
    for (const auto& choice : q.choices) flat.push_back({.instruction = q.instruction, .response = choice});
  const evaluation all = evaluate(backend, model, method, std::span<const example>(flat), limits);
  choice_evaluation result;
  std::size_t at = 0, right = 0;
  for (const choice_example& q : questions) {
    std::size_t best = 0;
    for (std::size_t k = 1; k < q.choices.size(); ++k)
      if (all.examples[at + k].sum < all.examples[at + best].sum) best = k;
    const response_loss& answer = all.examples[at + q.answer];
    result.loss += answer.sum, result.tokens += answer.tokens;
    result.chosen.push_back(best), right += best == q.answer;
    at += q.choices.size();
  }
  if (result.tokens) result.loss /= double(result.tokens);
  if (!questions.empty()) result.accuracy = double(right) / double(questions.size());
  return result;
}

}  // namespace iapt
