// SPDX-License-Identifier: Apache-2.0
// The plan of one pass through the layers: which rows run, at which positions, and what they see.
#pragma once
#include <string>
#include <vector>

#include "iapt/model/kv_cache.hpp"
#include "iapt/model/packed_batch.hpp"
#include "iapt/nn/hooks.hpp"

namespace iapt {

/// Rows of one pass. A sequence's soft tokens take P positions: the rows in front of them keep theirs, the rows behind
/// are shifted.
struct batch_metadata {
  std::vector<token_id> tokens;             ///< of the rows that run
  std::vector<index_t> positions;           ///< of these rows
  std::vector<index_t> soft_positions;      ///< of the soft tokens (B·P)
  std::vector<attention_segment> segments;  ///< one for each sequence
  std::vector<row_span> instructions;       ///< which rows of the states a generator reads, for each sequence
  std::vector<std::int32_t> logit_rows;     ///< rows whose logits are wanted
  std::vector<index_t> sequences = {};      ///< of a cache, one for each segment; empty: the first ones, in order

  /// The cache's sequence of a segment.
  index_t sequence(std::size_t segment) const { return sequences.empty() ? index_t(segment) : sequences[segment]; }
  /// Adds rows [from, to) of a sequence, `shift` positions on.
  void add_rows(const packed_batch& batch, const packed_sequence& s, index_t from, index_t to, index_t shift) {
    segments.push_back({.begin = index_t(tokens.size()), .count = to - from});
    for (index_t i = from; i < to; ++i) {
      tokens.push_back(batch.tokens[s.begin + i]);
      positions.push_back(i + shift);
    }
  }
};

/// Refuses a token that the model does not have.
/// @throws shape_error naming it
inline void check_token(token_id token, const transformer_config& config) {
  if (token < 0 || token >= config.vocabulary)
    throw shape_error("token " + std::to_string(token) + " is not in the vocabulary of " +
                      std::to_string(config.vocabulary));
}

/// Refuses a batch that cannot be planned.
/// @throws shape_error naming the sequence
inline void check(const packed_batch& batch, const transformer_config& config, index_t shortest_instruction) {
  for (std::size_t b = 0; b < batch.sequences.size(); ++b) {
    const packed_sequence& s = batch.sequences[b];
    if (s.instruction < shortest_instruction || s.instruction > s.count)
      throw shape_error("sequence " + std::to_string(b) + ": an instruction of " + std::to_string(s.instruction) +
                        " tokens in " + std::to_string(s.count) + " rows; at least " +
                        std::to_string(shortest_instruction) + " are needed" +
                        (shortest_instruction > 1 ? " where soft tokens stand late" : ""));
  }
  for (token_id t : batch.tokens) check_token(t, config);
}

/// All rows in one pass, P soft tokens in front of each sequence: its own, or those that all share.
inline batch_metadata plan_front(const packed_batch& batch, index_t soft_tokens, bool shared = false) {
  batch_metadata plan;
  for (const packed_sequence& s : batch.sequences) {
    plan.add_rows(batch, s, 0, s.count, soft_tokens);
    attention_segment& seen = plan.segments.back();
    plan.instructions.push_back({seen.begin, seen.begin + s.instruction});
    seen.prefix_begin = shared ? 0 : index_t(plan.soft_positions.size()), seen.prefix_count = soft_tokens;
    if (shared && !plan.soft_positions.empty()) continue;
    for (index_t p = 0; p < soft_tokens; ++p) plan.soft_positions.push_back(p);
  }
  plan.logit_rows = batch.logit_rows;
  return plan;
}

/// The instructions without their last tokens, as the base model reads them.
inline batch_metadata plan_context(const packed_batch& batch) {
  batch_metadata plan;
  for (const packed_sequence& s : batch.sequences) {
    plan.add_rows(batch, s, 0, s.instruction - 1, 0);
    const attention_segment& rows = plan.segments.back();
    plan.instructions.push_back({rows.begin, rows.begin + rows.count});
  }
  return plan;
}

/// The rows from each instruction's last token on, behind P soft tokens and the context that `read` planned. Their past
/// is what a cache holds of each sequence.
/// @throws shape_error if logits of a context row are wanted
template <class T, class Backend>
batch_metadata plan_late(const packed_batch& batch, index_t soft_tokens, const batch_metadata& read,
                         const kv_cache<T, Backend>& cache) {
  batch_metadata plan;
  std::size_t next = 0;
  for (std::size_t b = 0; b < batch.sequences.size(); ++b) {
    const packed_sequence& s = batch.sequences[b];
    const index_t skipped = s.instruction - 1;
    plan.add_rows(batch, s, skipped, s.count, soft_tokens);
    attention_segment& seen = plan.segments.back();
    seen.past_begin = cache.begin(b), seen.past_count = cache.filled(0, b);
    seen.prefix_begin = index_t(plan.soft_positions.size()), seen.prefix_count = soft_tokens;
    for (index_t p = 0; p < soft_tokens; ++p) plan.soft_positions.push_back(skipped + p);
    for (; next < batch.logit_rows.size() && batch.logit_rows[next] < s.begin + s.count; ++next) {
      const index_t row = batch.logit_rows[next] - s.begin - skipped;
      if (row < 0) throw shape_error("late soft tokens: logits are wanted before an instruction's last token");
      plan.logit_rows.push_back(std::int32_t(seen.begin + row));
    }
  }
  plan.instructions = read.instructions;
  return plan;
}

}  // namespace iapt
