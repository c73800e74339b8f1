// SPDX-License-Identifier: Apache-2.0
// Sequences of different lengths, end to end: no padding row is ever computed.
// Shapes: N rows (tokens) of B sequences, M rows whose logits are wanted.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "iapt/core/shape.hpp"
#include "iapt/core/token.hpp"

namespace iapt {

/// Where one sequence stands in a packed batch.
struct packed_sequence {
  index_t begin;        ///< its first row
  index_t count;        ///< its rows: instruction, then response
  index_t instruction;  ///< rows before the first response token, at least 1
};

/// What a causal language model reads: tokens of B sequences, where they stand, and which rows' logits are wanted.
struct packed_batch {
  std::vector<token_id> tokens;            ///< (N)
  std::vector<packed_sequence> sequences;  ///< (B), in order and without gaps
  std::vector<std::int32_t> logit_rows;    ///< rows whose logits are wanted (M), ascending
  std::vector<token_id> targets;           ///< what each of them should predict (M), or empty

  /// Appends a sequence. With a response, all its tokens become targets, predicted by the rows from the last
  /// instruction token on; the last token itself needs no row. Without one, the last row's logits are wanted.
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
