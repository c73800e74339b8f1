// SPDX-License-Identifier: Apache-2.0
// The batch of one engine step: a chunk of tokens of each scheduled sequence.
// Shapes: P soft tokens of a request.
#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "iapt/serve/engine_request.hpp"
#include "iapt/serve/mixed_method.hpp"

namespace iapt {

/// The tokens of one sequence that a step computes.
template <class T, class Backend>
struct scheduled_chunk {
  request_state<T, Backend>* state;  ///< the request
  engine_sequence* sequence;         ///< which of its sequences
  index_t from;                      ///< first token
  index_t to;                        ///< one past the last token
  bool writes_soft_tokens;           ///< whether the step writes the sequence's soft tokens
  bool is_last;  ///< whether all tokens are computed then; the sequence itself may grow or be freed meanwhile

  /// The next chunk of a sequence, at most `limit` tokens. A generator needs the whole prompt at once; with late soft
  /// tokens, the prompt without its last token. If the cache stores hidden states, a late generator reads them there
  /// when the last token is computed, and the prompt may be chunked.
  static scheduled_chunk next(request_state<T, Backend>& state, engine_sequence& sequence, index_t limit,
                              const cache_size& cache) {
    const auto& r = state.request;
    const index_t context = r.late() ? state.prompt_size() - 1 : 0, from = sequence.num_computed_tokens;
    const bool stored = r.reads_stored_states(cache), writes = r.soft_tokens() > 0 && from == (stored ? context : 0);
    index_t to = from < context ? context : sequence.size();
    if (!writes || stored || r.method->is_static_prompt()) to = std::min(to, from + std::max<index_t>(limit, 1));
    return {&state, &sequence, from, to, writes, to == sequence.size()};
  }
  /// Number of tokens.
  index_t size() const { return to - from; }
  /// KV slots that it fills.
  index_t new_slots() const { return size() + (writes_soft_tokens ? state->request.soft_tokens() : 0); }
  /// Whether the sequence's next token is chosen from its logits.
  bool needs_sample() const { return is_last && state->request.options.max_new > 0; }
};

/// A row of logits that gives the log-probability of a prompt token.
template <class T, class Backend>
struct scored_prompt_token {
  request_state<T, Backend>* state;  ///< whose prompt
  index_t token;                     ///< index in the prompt
};

/// Chunks of any requests as one batch; their KV blocks are allocated. Chunks of one method are adjacent.
template <class T, class Backend>
class step_batch {
 public:
  using chunk = scheduled_chunk<T, Backend>;  ///< tokens of one sequence
  /// Builds the batch. The cache holds what was computed of the sequences before.
  step_batch(std::vector<chunk> chunks, const kv_cache<T, Backend>& cache) : chunks_(std::move(chunks)) {
    // In the order in which methods first appear: an order by address would differ from run to run.
    std::vector<const any_method<T, Backend>*> order;
    for (const chunk& c : chunks_)
      if (std::find(order.begin(), order.end(), method_of(c)) == order.end()) order.push_back(method_of(c));
    const auto rank = [&](const chunk& c) { return std::find(order.begin(), order.end(), method_of(c)); };
    std::stable_sort(chunks_.begin(), chunks_.end(), [&](const chunk& a, const chunk& b) { return rank(a) < rank(b); });
    method_.cache = &cache;
    for (const chunk& c : chunks_) add(c, cache);
    num_samples_ = index_t(metadata_.logit_rows.size());
    metadata_.logit_rows.insert(metadata_.logit_rows.end(), scored_rows_.begin(), scored_rows_.end());
    for (std::size_t i = 0; i < stored_rows_.size(); ++i)
      if (!stored_rows_[i].empty())
        method_.parts[i].stored_rows.emplace(cache.layer(0).keys.backend(), stored_rows_[i]);
    method_.plan_lora_batch(cache.layer(0).keys.backend(), int(cache.layers()));
  }
  /// The chunks, in the order of the batch.
  const std::vector<chunk>& chunks() const { return chunks_; }
  /// Tokens, positions and attention of the batch.
  const batch_metadata& metadata() const { return metadata_; }
  /// Number of sequences whose next token is chosen: the first rows of logits.
  index_t num_samples() const { return num_samples_; }
  /// The prompt tokens that the other rows of logits score.
  const std::vector<scored_prompt_token<T, Backend>>& scored_tokens() const { return scored_tokens_; }
  /// The methods of all tokens.
  const mixed_method<T, Backend>& method() const { return method_; }

 private:
  static const any_method<T, Backend>* method_of(const chunk& c) { return c.state->request.method.get(); }

  void add(const chunk& c, const kv_cache<T, Backend>& cache) {
    const auto& request = c.state->request;
    const index_t P = request.soft_tokens(), begin = index_t(metadata_.tokens.size()), slot = c.sequence->seq_slot;
    const index_t filled = cache.filled(0, slot);
    auto& parts = method_.parts;
    if (parts.empty() || parts.back().method != method_of(c)) {
      parts.push_back({method_of(c), {begin, begin}, {method_.soft_rows, method_.soft_rows}});
      stored_rows_.emplace_back();
    }
    auto& part = parts.back();
    attention_segment segment{.begin = begin, .count = c.size(), .past_begin = cache.begin(slot), .past_count = filled};
    index_t position = filled;  // of the first token
    if (c.writes_soft_tokens) {
      const bool late = request.late(), stored = request.reads_stored_states(cache.size());
      const index_t before = late && !stored ? c.size() : 0;                // tokens in front of the soft tokens
      if (!request.method->is_static_prompt() || part.soft.count() == 0) {  // a static prompt is there once
        for (index_t p = 0; p < P; ++p) metadata_.soft_positions.push_back(filled + before + p);
        method_.soft_rows += P, part.soft.end += P;
      }
      segment.soft_begin = part.soft.end - P, segment.soft_count = P;
      segment.soft_from = before;
      if (stored) {
        auto& rows = stored_rows_.back();
        part.instructions.push_back({index_t(rows.size()), index_t(rows.size()) + filled});
        for (index_t i = 0; i < filled; ++i) rows.push_back(std::int32_t(cache.slot(slot, i)));
      } else {
        part.instructions.push_back({begin, begin + (late ? c.size() : c.state->prompt_size())});
      }
      if (!before) position += P;
    }
    for (index_t i = c.from; i < c.to; ++i) {
      metadata_.tokens.push_back(c.sequence->tokens[std::size_t(i)]);
      metadata_.positions.push_back(position + i - c.from);
    }
    part.rows.end = begin + c.size();
    metadata_.segments.push_back(segment);
    metadata_.sequences.push_back(slot);
    if (c.needs_sample()) metadata_.logit_rows.push_back(std::int32_t(begin + c.size() - 1));
    if (!request.on_prompt_token) return;
    const index_t first = std::max(c.from + 1, c.state->num_reported_prompt_tokens);
    for (index_t token = first; token < std::min(c.to + 1, c.state->prompt_size()); ++token) {
      scored_tokens_.push_back({c.state, token});
      scored_rows_.push_back(std::int32_t(begin + token - 1 - c.from));
    }
  }

  std::vector<chunk> chunks_;
  batch_metadata metadata_;
  mixed_method<T, Backend> method_;
  std::vector<std::vector<std::int32_t>> stored_rows_;  // of each part
  index_t num_samples_ = 0;
  std::vector<scored_prompt_token<T, Backend>> scored_tokens_;
  std::vector<std::int32_t> scored_rows_;  // rows of the batch
};

}  // namespace iapt
