// SPDX-License-Identifier: Apache-2.0
// The paged KV cache: keys and values of the tokens computed so far.
// Shapes: D hidden size, G key/value heads, E elements of a head.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/model/config.hpp"
#include "iapt/ops/attention.hpp"
#include "iapt/ops/gather.hpp"

namespace iapt {

/// Elementwise kernel: row i of keys and values goes to row slots[i] of a cache's.
template <class T>
struct write_kv_kernel {
  using value_type = T;
  const T *keys,              ///< rows (N, G·E)
      *values;                ///< rows (N, G·E)
  const std::int32_t* slots;  ///< slots (N), all different
  T *to_keys,                 ///< the cache's keys (·, G·E)
      *to_values;             ///< the cache's values (·, G·E)
  index_t columns;            ///< G·E
  /// Column j of row i.
  template <class Index>
  IAPT_DEVICE void operator()(index_t i, Index j) const {
    row<T>{to_keys + slots[i] * columns}[j] = row<const T>{keys + i * columns}[j];
    row<T>{to_values + slots[i] * columns}[j] = row<const T>{values + i * columns}[j];
  }
};

/// Size of a cache. A slot holds the keys and values of one token in all layers; slots are allocated in blocks.
struct cache_size {
  index_t sequences;                 ///< sequences at the same time
  index_t blocks;                    ///< number of blocks
  index_t block_size;                ///< slots of a block
  index_t max_blocks_per_seq;        ///< blocks of one sequence at most
  bool store_hidden_states = false;  ///< whether it also stores what enters each layer, for late
                                     ///< generators
};

/// A KV cache in blocks. Soft tokens take slots as tokens do: keys contain their positions, so the order of the slots
/// does not matter. One sequence writes a block; full blocks may have several users, and a cached block stays when it
/// has no user, until it is evicted.
template <class T, class Backend>
class kv_cache {
 public:
  /// Contiguous memory for `sequences` sequences of `capacity` slots each.
  kv_cache(Backend& backend, const transformer_config& config, index_t sequences, index_t capacity)
      : kv_cache(backend, config, {sequences, sequences, std::max<index_t>(capacity, 1), 1}) {}
  /// Blocks for sequences of any length.
  kv_cache(Backend& backend, const transformer_config& config, const cache_size& size)
      : size_(size),
        filled_(config.layers, std::vector<index_t>(size.sequences)),
        next_position_(size.sequences),
        allocated_(size.sequences),
        ref_count_(size.blocks),
        cached_(size.blocks),
        table_{size.block_size, std::vector<std::int32_t>(size.sequences * size.max_blocks_per_seq)} {
    for (index_t block = size.blocks; block-- > 0;) free_.push_back(std::int32_t(block));
    const extents<2> shape{size.blocks * size.block_size, config.heads.kv_heads * config.heads.head_size};
    for (index_t l = 0; l < config.layers; ++l) {
      layers_.push_back({tensor<T, 2, Backend>(backend, shape), tensor<T, 2, Backend>(backend, shape)});
      if (size.store_hidden_states) hidden_states_.push_back(tensor<T, 2, Backend>(backend, {shape[0], config.hidden}));
    }
  }
  /// Its size.
  const cache_size& size() const { return size_; }
  /// Number of sequences.
  index_t sequences() const { return size_.sequences; }
  /// Number of layers.
  index_t layers() const { return index_t(layers_.size()); }
  /// Keys and values of one layer (blocks · block size, G·E).
  const key_values<T, Backend>& layer(index_t l) const { return layers_[l]; }
  /// What entered one layer, after its norm (blocks · block size, D), of the slots that `store_hidden_states` wrote.
  const tensor<T, 2, Backend>& hidden_states(index_t l) const { return hidden_states_[l]; }
  /// Index of a sequence's first block in `table()`.
  index_t begin(index_t sequence) const { return sequence * size_.max_blocks_per_seq; }
  /// The block table, for attention.
  const block_table& table() const { return table_; }
  /// A sequence's i-th block.
  std::int32_t block(index_t sequence, index_t i) const { return table_.blocks[begin(sequence) + i]; }
  /// Slot of row i of a sequence.
  index_t slot(index_t sequence, index_t i) const {
    return block(sequence, i / size_.block_size) * size_.block_size + i % size_.block_size;
  }
  /// Number of slots of a sequence that are filled in one layer.
  index_t filled(index_t l, index_t sequence) const { return filled_[l][sequence]; }
  /// Position of a sequence's next token.
  index_t& next_position(index_t sequence) { return next_position_[sequence]; }
  /// Number of free blocks.
  index_t free_blocks() const { return index_t(free_.size()); }
  /// Number of cached blocks without a user.
  index_t evictable_blocks() const { return evictable_; }
  /// Whether a block is cached and has no user.
  bool is_evictable(std::int32_t block) const { return cached_[block] && ref_count_[block] == 1; }
  /// Number of blocks for `rows` slots.
  index_t blocks_for(index_t rows) const { return (rows + size_.block_size - 1) / size_.block_size; }

  /// Refuses rows that do not fit behind those that a sequence has in a layer.
  /// @throws shape_error if there is no such sequence, or no room for `count` more rows
  void require_room(index_t l, index_t sequence, index_t count) const {
    if (sequence < 0 || sequence >= sequences())
      throw shape_error("kv_cache: there is no sequence " + std::to_string(sequence) + " among " +
                        std::to_string(sequences()));
    const index_t needed = blocks_for(filled(l, sequence) + count);
    if (needed > size_.max_blocks_per_seq)
      throw shape_error("kv_cache: no room for " + std::to_string(count) + " more rows after " +
                        std::to_string(filled(l, sequence)) + " of " +
                        std::to_string(size_.max_blocks_per_seq * size_.block_size));
    require_blocks(needed - allocated_[sequence]);
  }
  /// Refuses to allocate more blocks than are free.
  /// @throws shape_error if so many are not free
  void require_blocks(index_t count) const {
    if (count > free_blocks())
      throw shape_error("kv_cache: " + std::to_string(count) + " more blocks of " + std::to_string(size_.block_size) +
                        " rows are needed, " + std::to_string(free_blocks()) + " are free");
  }
  /// Allocates the blocks for `count` more slots of a sequence, in all layers.
  /// @throws shape_error if there is no room
  void reserve(index_t sequence, index_t count) { reserve(0, sequence, count); }
  /// Copies rows [from, from + count) of keys and values to the next slots of a sequence in a layer.
  /// @throws shape_error if there is no room
  void append(index_t l, index_t sequence, const key_values<T, Backend>& rows, index_t from, index_t count) {
    reserve(l, sequence, count);
    index_t& filled = filled_[l][sequence];
    for_each_run(sequence, filled, from, count, [&](index_t to, index_t first, index_t run) {
      copy(layers_[l].keys, to, rows.keys, first, run), copy(layers_[l].values, to, rows.values, first, run);
    });
    filled += count;
  }
  /// Copies rows [from, from + count) of what enters a layer to the next slots, whose keys and values follow.
  /// @throws shape_error if there is no room
  void store_hidden_states(index_t l, index_t sequence, const tensor<T, 2, Backend>& states, index_t from,
                           index_t count) {
    reserve(l, sequence, count);
    for_each_run(sequence, filled(l, sequence), from, count,
                 [&](index_t to, index_t first, index_t run) { copy(hidden_states_[l], to, states, first, run); });
  }
  /// Releases the blocks of a sequence; it is empty then.
  void clear(index_t sequence) {
    for (index_t i = 0; i < allocated_[sequence]; ++i) release(block(sequence, i));
    allocated_[sequence] = 0, next_position_[sequence] = 0;
    for (auto& layer : filled_) layer[sequence] = 0;
  }
  /// Whether a block is cached.
  bool is_cached(std::int32_t block) const { return cached_[block]; }
  /// Marks a block as cached: it stays when no sequence uses it, until `evict`.
  /// @throws shape_error if it is marked already
  void mark_cached(std::int32_t block) {
    if (cached_[block]) throw shape_error("kv_cache: block " + std::to_string(block) + " is already cached");
    cached_[block] = true, ++ref_count_[block];
  }
  /// Ends the mark; a block without a user becomes free.
  void evict(std::int32_t block) {
    if (!cached_[block]) return;
    if (ref_count_[block] == 1) --evictable_;
    cached_[block] = false, release(block);
  }
  /// Makes full blocks the beginning of an empty sequence.
  /// @throws shape_error if it is not empty, or there are more than one sequence may have
  void attach_blocks(index_t sequence, const std::vector<std::int32_t>& blocks) {
    require_empty(sequence);
    if (index_t(blocks.size()) > size_.max_blocks_per_seq)
      throw shape_error("kv_cache: " + std::to_string(blocks.size()) + " blocks of one sequence, which may have " +
                        std::to_string(size_.max_blocks_per_seq));
    for (const std::int32_t block : blocks) {
      if (is_evictable(block)) --evictable_;
      ++ref_count_[block], table_.blocks[begin(sequence) + allocated_[sequence]++] = block;
    }
    next_position_[sequence] = allocated_[sequence] * size_.block_size;
    for (auto& layer : filled_) layer[sequence] = next_position_[sequence];
  }
  /// Makes an empty sequence a copy of another one: full blocks are shared, the slots behind them are copied.
  /// @throws shape_error if it is not empty, or no block is free for those rows
  void fork(index_t from, index_t to) {
    require_empty(to);
    const index_t rows = filled(0, from), whole = rows / size_.block_size, rest = rows % size_.block_size;
    require_blocks(blocks_for(rest));
    const auto first = table_.blocks.begin() + begin(from);
    attach_blocks(to, {first, first + whole});
    next_position_[to] = next_position_[from];
    for (std::size_t l = 0; rest && l < layers_.size(); ++l) {
      const index_t behind = slot(from, whole * size_.block_size);
      if (size_.store_hidden_states) store_hidden_states(index_t(l), to, hidden_states_[l], behind, rest);
      append(index_t(l), to, layers_[l], behind, rest);
    }
  }
  /// The slots of the next token of some sequences.
  /// @throws shape_error if there is no such sequence, or no room for all of them
  std::vector<std::int32_t> next_slots(index_t l, const std::vector<index_t>& sequences) {
    index_t blocks = 0;
    for (const index_t sequence : sequences) {
      require_room(l, sequence, 1);
      blocks += blocks_for(filled(l, sequence) + 1) - allocated_[sequence];
    }
    require_blocks(blocks);
    std::vector<std::int32_t> rows;
    for (const index_t sequence : sequences) {
      reserve(l, sequence, 1);
      rows.push_back(std::int32_t(slot(sequence, filled(l, sequence))));
    }
    return rows;
  }
  /// Copies row i of keys and values to slot slots[i] of a layer, from next_slots(). `advance` makes them count.
  void write_kv(index_t l, const key_values<T, Backend>& rows, const row_indices<Backend>& slots) {
    const index_t columns = rows.keys.size(1);
    const key_values<T, Backend>& to = layers_[l];
    to.keys.backend().for_each(rows.keys.size(0), columns,
                               write_kv_kernel<T>{rows.keys.data(), rows.values.data(), slots.device.data(),
                                                  to.keys.write(), to.values.write(), columns});
  }
  /// Adds one filled slot to some sequences, in all layers, and advances their positions.
  void advance(const std::vector<index_t>& sequences) {
    for (auto& layer : filled_)
      for (const index_t sequence : sequences) ++layer[sequence];
    for (const index_t sequence : sequences) ++next_position_[sequence];
  }

 private:
  // Allocates the blocks for `count` more slots.
  void reserve(index_t l, index_t sequence, index_t count) {
    require_room(l, sequence, count);
    for (const index_t needed = blocks_for(filled(l, sequence) + count); allocated_[sequence] < needed;
         ++allocated_[sequence]) {
      const std::int32_t block = free_.back();
      free_.pop_back();
      ref_count_[block] = 1, table_.blocks[begin(sequence) + allocated_[sequence]] = block;
    }
  }
  // A block has one user less.
  void release(std::int32_t block) {
    if (--ref_count_[block] == 0) free_.push_back(block);
    if (is_evictable(block)) ++evictable_;
  }
  void require_empty(index_t sequence) const {
    if (allocated_[sequence])
      throw shape_error("kv_cache: sequence " + std::to_string(sequence) + " is not empty; clear it first");
  }
  // f(to, from, count) for rows [from, from + count) that go to the slots behind `filled`, for each contiguous run.
  template <class F>
  void for_each_run(index_t sequence, index_t filled, index_t from, index_t count, F f) const {
    for (const index_t end = from + count; from < end;) {
      const index_t run = table_.at(nullptr).contiguous_run(filled, end - from);
      f(slot(sequence, filled), from, run);
      from += run, filled += run;
    }
  }
  static void copy(const tensor<T, 2, Backend>& to, index_t at, const tensor<T, 2, Backend>& from, index_t first,
                   index_t count) {
    const index_t width = to.size(1);
    to.backend().copy(to.write() + at * width, from.data() + first * width, count * width);
  }

  cache_size size_;
  std::vector<key_values<T, Backend>> layers_;
  std::vector<tensor<T, 2, Backend>> hidden_states_;  // by layer, if stored
  std::vector<std::vector<index_t>> filled_;          // by layer, then sequence
  std::vector<index_t> next_position_;
  std::vector<index_t> allocated_;  // blocks of each sequence
  std::vector<index_t> ref_count_;  // of each block: its sequences, and one if it is cached
  std::vector<bool> cached_;
  index_t evictable_ = 0;  // cached blocks without a user
  std::vector<std::int32_t> free_;
  block_table table_;
};

}  // namespace iapt
