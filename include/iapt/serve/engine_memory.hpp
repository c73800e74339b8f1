// SPDX-License-Identifier: Apache-2.0
// The KV cache of an engine: which sequence slots and blocks its requests own, and which blocks they reuse.
#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "iapt/serve/step_batch.hpp"

namespace iapt {

/// A KV cache, its free sequence slots, and the index of its full blocks.
template <class T, class Backend>
class engine_memory {
 public:
  using state_type = request_state<T, Backend>;  ///< a request
  using chunk = scheduled_chunk<T, Backend>;     ///< tokens of one of its sequences

  /// An empty cache.
  /// @param prefix_caching whether requests reuse the blocks of a common prefix
  engine_memory(const causal_lm<T, Backend>& lm, const cache_size& size, bool prefix_caching)
      : cache_(lm.backend(), lm.config, size), index_(cache_), prefix_caching_(prefix_caching) {
    for (index_t slot = size.sequences; slot-- > 0;) free_seq_slots_.push_back(slot);
  }

  /// The cache.
  kv_cache<T, Backend>& cache() { return cache_; }
  /// The cache.
  const kv_cache<T, Backend>& cache() const { return cache_; }
  /// Blocks that are free or evictable.
  index_t available_blocks() const { return cache_.free_blocks() + cache_.evictable_blocks(); }
  /// Prompt tokens that were taken from the prefix cache.
  std::size_t reused_tokens() const { return reused_tokens_; }

  /// Whether there are sequence slots for a request.
  bool has_seq_slots(const state_type& r) const { return r.request.options.beams <= index_t(free_seq_slots_.size()); }
  /// Blocks that a request still needs for its tokens, and one more for each further beam. A beam search that was
  /// preempted needs them up to the length that it had.
  index_t missing_blocks(const state_type& r) const {
    const index_t soft = r.request.soft_tokens(), beams = r.request.options.beams;
    index_t blocks = 0;
    for (const engine_sequence& s : r.sequences)
      blocks += std::max<index_t>(0, cache_.blocks_for(std::max(s.size(), r.max_len_before_preempt) + soft) -
                                         cache_.blocks_for(cache_.filled(0, s.seq_slot)));
    const index_t shared = (r.prompt_size() + soft) / cache_.size().block_size;
    const index_t own = r.sequences.size() == 1 ? cache_.blocks_for(r.max_len_before_preempt + soft) - shared : 0;
    return blocks + (beams - 1) * std::max<index_t>(1, own);
  }
  /// Gives a request its sequence slots, and a first sequence if it has none.
  void start(state_type& r) {
    const index_t beams = r.request.options.beams;
    r.seq_slots.assign(free_seq_slots_.end() - beams, free_seq_slots_.end());
    free_seq_slots_.resize(free_seq_slots_.size() - std::size_t(beams));
    r.free_seq_slots = r.seq_slots;
    if (beams > 1) r.beams.emplace(r.request.options);
    if (r.sequences.empty()) r.sequences.push_back({r.request.prompt});
    r.sequences[0].seq_slot = take_seq_slot(r);
    reuse_prefix(r);
  }
  /// Attaches cached blocks of the prompt's prefix to a request that has not started, but for its last token. A request
  /// with `on_prompt_token` computes its whole prompt.
  void reuse_prefix(state_type& r) {
    const bool late = r.request.late();
    if (!prefix_caching_ || r.started || r.request.on_prompt_token || r.request.runs_alone()) return;
    if (late && !r.request.reads_stored_states(cache_.size())) return;
    const index_t soft = late ? 0 : r.request.soft_tokens();
    engine_sequence& s = r.sequences[0];
    const index_t max_slots = late ? r.prompt_size() - 1 : soft + s.size() - 1;
    const auto blocks = index_.find(r.request.scope(), s.tokens, max_slots);
    const index_t slots = index_t(blocks.size()) * cache_.size().block_size;
    if (slots <= soft) return;
    cache_.clear(s.seq_slot);
    cache_.attach_blocks(s.seq_slot, blocks);
    s.num_computed_tokens = slots - soft;
  }
  /// Blocks that a chunk needs.
  index_t blocks_for(const chunk& c) const {
    const index_t filled = cache_.filled(0, c.sequence->seq_slot);
    return cache_.blocks_for(filled + c.new_slots()) - cache_.blocks_for(filled);
  }
  /// Allocates them; so many must be available.
  void allocate(const chunk& c) {
    index_.make_room(blocks_for(c));
    cache_.reserve(c.sequence->seq_slot, c.new_slots());
  }
  /// Notes that a chunk was computed: the blocks that it filled become reusable.
  void commit(const chunk& c) {
    engine_sequence& s = *c.sequence;
    c.state->started = true;
    if (!std::exchange(c.state->reuse_counted, true)) reused_tokens_ += std::size_t(s.num_computed_tokens);
    s.num_computed_tokens = c.to;
    const index_t slots = c.state->slots_in_scope(cache_.filled(0, s.seq_slot));
    const index_t full = slots / cache_.size().block_size;
    if (!prefix_caching_ || full == s.num_indexed_blocks || c.state->request.runs_alone()) return;
    s.num_indexed_blocks = full;
    index_.add(c.state->request.scope(), s.tokens, s.seq_slot, slots);
  }
  /// A copy of a sequence in another of its request's sequence slots; a block must be available.
  engine_sequence fork(state_type& r, const engine_sequence& s) {
    index_.make_room(cache_.filled(0, s.seq_slot) % cache_.size().block_size ? 1 : 0);
    engine_sequence copy = s;
    copy.seq_slot = take_seq_slot(r);
    cache_.fork(s.seq_slot, copy.seq_slot);
    return copy;
  }
  /// Frees the blocks of a sequence; its request keeps the sequence slot.
  void free_sequence(state_type& r, const engine_sequence& s) {
    cache_.clear(s.seq_slot);
    r.free_seq_slots.push_back(s.seq_slot);
  }
  /// Frees all blocks and sequence slots of a request, which keeps its tokens. A beam search starts again from the
  /// prompt, and finds the same beams.
  void free_request(state_type& r) {
    for (const index_t slot : r.seq_slots) cache_.clear(slot);
    free_seq_slots_.insert(free_seq_slots_.end(), r.seq_slots.begin(), r.seq_slots.end());
    r.seq_slots.clear(), r.free_seq_slots.clear(), r.started = false;
    if (r.beams && !r.sequences.empty()) {
      r.max_len_before_preempt = std::max(r.max_len_before_preempt, r.sequences[0].size());
      r.sequences.clear();
    }
    for (engine_sequence& s : r.sequences) s = {std::move(s.tokens)};
  }

 private:
  static index_t take_seq_slot(state_type& r) {
    const index_t slot = r.free_seq_slots.back();
    r.free_seq_slots.pop_back();
    return slot;
  }

  kv_cache<T, Backend> cache_;
  prefix_index<T, Backend> index_;
  bool prefix_caching_;
  std::vector<index_t> free_seq_slots_;
  std::size_t reused_tokens_ = 0;
};

}  // namespace iapt
