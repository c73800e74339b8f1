// SPDX-License-Identifier: Apache-2.0
// The input of a model, the operations of its matmuls, and a clock.
#pragma once
#include <chrono>
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/core/token.hpp"
#include "iapt/model/config.hpp"

namespace iapt::bench {

/// Seconds of a steady clock.
inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
/// Random tokens of the vocabulary.
inline std::vector<token_id> random_tokens(random_stream& random, const transformer_config& c, index_t count) {
  std::vector<token_id> ids(count);
  for (token_id& id : ids) id = token_id(random.below(std::uint64_t(c.vocabulary)));
  return ids;
}
/// Number of weights of the linear maps of all layers.
inline double map_weights(const transformer_config& c) {
  const double width = double(c.heads.heads + c.heads.kv_heads) * 2 * double(c.heads.head_size);
  return double(c.layers) * double(c.hidden) * (width + 3 * double(c.feed_forward));
}
/// Number of operations of a training step's matmuls: forward everywhere, backward by the input only and only where a
/// gradient flows; the head on response rows.
inline double training_operations(const transformer_config& c, index_t batch, index_t instruction, index_t response,
                                  bool late) {
  const double all = double(instruction + response - 1), live = late ? double(response) : all;
  const double head = double(response) * double(c.vocabulary * c.hidden);
  return 2 * double(batch) * (map_weights(c) * (all + live) + 2 * head);
}

}  // namespace iapt::bench
