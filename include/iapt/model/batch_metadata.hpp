// SPDX-License-Identifier: Apache-2.0
// The metadata of one forward pass: which tokens run, at which positions, and what they attend to.
#pragma once
#include <string>
#include <vector>

#include "iapt/model/kv_cache.hpp"
#include "iapt/model/packed_batch.hpp"
#include "iapt/nn/hooks.hpp"

namespace iapt {

/// The tokens of one forward pass. A sequence's soft tokens take P positions: the tokens before them keep their
/// positions, the tokens behind them are shifted by P.
struct batch_metadata {
  std::vector<token_id> tokens;             ///< tokens that run (N)
  std::vector<index_t> positions;           ///< position of each token (N)
  std::vector<index_t> soft_positions;      ///< positions of the soft tokens (B·P), or (P) for a static prompt
  std::vector<attention_segment> segments;  ///< one for each sequence
  std::vector<row_span> instructions;       ///< rows of the states that each sequence's generator reads
  std::vector<std::int32_t> logit_rows;     ///< rows whose logits are computed (M)
  std::vector<index_t> sequences = {};      ///< the cache's sequence of each segment; empty: the first ones, in order

  /// The cache's sequence of a segment.
  index_t sequence(std::size_t segment) const { return sequences.empty() ? index_t(segment) : sequences[segment]; }
  /// Appends tokens [from, to) of a sequence as one segment, their positions shifted by `shift`.
  void add_rows(const packed_batch& batch, const packed_sequence& s, index_t from, index_t to, index_t shift) {
    segments.push_back({.begin = index_t(tokens.size()), .count = to - from});
    for (index_t i = from; i < to; ++i) {
      tokens.push_back(batch.tokens[s.begin + i]);
      positions.push_back(i + shift);
    }
  }
};

/// Refuses a token id that is not in the vocabulary.
/// @throws shape_error with the id
inline void check_token(token_id token, const transformer_config& config) {
  if (token < 0 || token >= config.vocabulary)
    throw shape_error("token " + std::to_string(token) + " is not in the vocabulary of " +
                      std::to_string(config.vocabulary));
}

/// Refuses a batch with an instruction that is too short or too long, or with a token id that is not in the vocabulary.
/// @throws shape_error with the sequence or the token id
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

/// All tokens in one forward pass, P soft tokens before each sequence: its own, or the same ones for all (`shared`).
inline batch_metadata plan_front(const packed_batch& batch, index_t soft_tokens, bool shared = false) {
  batch_metadata plan;
  for (const packed_sequence& s : batch.sequences) {
    plan.add_rows(batch, s, 0, s.count, soft_tokens);
    attention_segment& seen = plan.segments.back();
    plan.instructions.push_back({seen.begin, seen.begin + s.instruction});
    seen.soft_begin = shared ? 0 : index_t(plan.soft_positions.size()), seen.soft_count = soft_tokens;
    if (shared && !plan.soft_positions.empty()) continue;
    for (index_t p = 0; p < soft_tokens; ++p) plan.soft_positions.push_back(p);
  }
  plan.logit_rows = batch.logit_rows;
  return plan;
}

/// The instructions without their last tokens: the base model computes these.
inline batch_metadata plan_context(const packed_batch& batch) {
  batch_metadata plan;
  for (const packed_sequence& s : batch.sequences) {
    plan.add_rows(batch, s, 0, s.instruction - 1, 0);
    const attention_segment& rows = plan.segments.back();
    plan.instructions.push_back({rows.begin, rows.begin + rows.count});
  }
  return plan;
}

/// The tokens from each instruction's last one on, behind the context that `read` describes and P soft tokens. Their
/// past is what the cache has of each sequence.
/// @throws shape_error if a logit row is in the context
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
    seen.soft_begin = index_t(plan.soft_positions.size()), seen.soft_count = soft_tokens;
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
