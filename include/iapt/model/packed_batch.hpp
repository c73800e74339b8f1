// SPDX-License-Identifier: Apache-2.0
// Sequences of different lengths, end to end, without padding.
// Shapes: N tokens of B sequences, M logit rows.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "iapt/core/shape.hpp"
#include "iapt/core/token.hpp"

namespace iapt {

/// Where one sequence is in a packed batch.
struct packed_sequence {
  index_t begin;        ///< its first token
  index_t count;        ///< number of its tokens: instruction, then response
  index_t instruction;  ///< number of tokens before the first response token, at least 1
};

/// The input of a causal language model: tokens of B sequences, and the rows whose logits are computed.
struct packed_batch {
  std::vector<token_id> tokens;            ///< tokens of all sequences (N)
  std::vector<packed_sequence> sequences;  ///< (B), in order and without gaps
  std::vector<std::int32_t> logit_rows;    ///< rows whose logits are computed (M), ascending
  std::vector<token_id> targets;           ///< the token that each of these should predict (M), or empty

  /// Appends a sequence. With a response, all its tokens become targets, predicted from the last instruction token on;
  /// the last response token is no input. Without one, the last instruction token's logits are computed.
  void add(const std::vector<token_id>& instruction, const std::vector<token_id>& response = {}) {
    const index_t begin = index_t(tokens.size()), n = index_t(instruction.size()), m = index_t(response.size());
    tokens.insert(tokens.end(), instruction.begin(), instruction.end());
    if (m) tokens.insert(tokens.end(), response.begin(), response.end() - 1);
    sequences.push_back({begin, index_t(tokens.size()) - begin, n});
    for (index_t i = 0; i < std::max<index_t>(m, 1); ++i) logit_rows.push_back(std::int32_t(begin + n - 1 + i));
    targets.insert(targets.end(), response.begin(), response.end());
  }
};

}  // namespace iapt
