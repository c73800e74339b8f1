// SPDX-License-Identifier: Apache-2.0
// The gradient of one batch, computed in micro-batches.
#pragma once
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "iapt/autograd/tape.hpp"
#include "iapt/data/batches.hpp"
#include "iapt/ops/cross_entropy.hpp"

namespace iapt {

/// The loss of a batch, which the device may still be computing.
template <class T, class Backend>
struct batch_loss {
  std::vector<tensor<T, 0, Backend>> parts;  ///< their sum is the mean over all response tokens of the batch, in nats
  index_t tokens = 0;                        ///< number of computed tokens of the batch, instructions included
  /// Waits for the mean loss over all response tokens of the batch, in nats.
  double wait() const {
    double loss = 0;
    for (const auto& part : parts) loss += double(to_host(part)[0]);
    return loss;
  }
};

/// Adds the gradient of a batch to the parameters' adjoints: that of the mean loss over all response tokens of the
/// whole batch. So the cut into micro-batches changes only rounding and memory.
/// @param backend backend of the model
/// @param model called as model(context, batch, method); returns the logits of the logit rows
/// @param method owns the parameters
/// @param examples the data set
/// @param numbers indices of the batch's examples
/// @param limits largest micro-batch
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
