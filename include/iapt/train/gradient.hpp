// SPDX-License-Identifier: Apache-2.0
// The gradient of one batch, computed piece by piece.
#pragma once
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "iapt/data/batches.hpp"
#include "iapt/ops/cross_entropy.hpp"

namespace iapt {

/// What a batch gives, while the machine may still be at work on it.
template <class T, class Backend>
struct batch_loss {
  std::vector<tensor<T, 0, Backend>> parts;  ///< their sum is the mean over all its response tokens, in nats
  index_t tokens = 0;                        ///< its tokens that go through the model, instructions included
  /// Waits for the mean over all its response tokens, in nats.
  double wait() const {
    double loss = 0;
    for (const auto& part : parts) loss += double(to_host(part)[0]);
    return loss;
  }
};

/// Adds to the parameters' adjoints the gradient of the mean loss over all response tokens of a batch. The mean is over
/// the whole batch however it is cut into micro-batches, so the cut changes nothing but rounding and memory.
/// @param backend the machine of the model
/// @param model called as model(context, batch, method), gives the logits of the wanted rows
/// @param method owns the parameters
/// @param examples the data
/// @param numbers which of them
/// @param limits how much goes through the model at once
template <class Model, class Method, class Backend>
auto add_gradient(Backend& backend, const Model& model, const Method& method, std::span<const example> examples,
                  std::span<const std::size_t> numbers, const batch_limits& limits) {
  const std::vector<packed_batch> pieces = pack_within(examples, numbers, limits);
  index_t targets = 0;
  for (const packed_batch& piece : pieces) targets += index_t(piece.targets.size());
  using logits_type = decltype(model(std::declval<tape<Backend>&>(), pieces[0], method));
  batch_loss<compute_type<typename logits_type::value_type>, Backend> sum;
  for (const packed_batch& piece : pieces) {
    tape<Backend> recorded(backend);
    const auto logits = model(recorded, piece, method);
    const auto loss = recorded(cross_entropy(logits, row_indices<Backend>(backend, piece.targets), targets));
    recorded.backward(loss);
    sum.parts.push_back(loss);
    sum.tokens += index_t(piece.tokens.size());
  }
  return sum;
}

}  // namespace iapt
