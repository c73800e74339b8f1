// SPDX-License-Identifier: Apache-2.0
// Keys and values of what has been read, so that the next token costs one row.
// Shapes: B sequences, C rows of room for each, D hidden size, G key/value heads, E numbers in a head.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "iapt/model/config.hpp"
#include "iapt/ops/attention.hpp"
#include "iapt/ops/gather.hpp"

namespace iapt {

/// Elementwise kernel: row i of keys and values goes to row places[i] of a cache's.
template <class T>
struct put_loop {
  using value_type = T;        ///< type of one number
  const T *keys,               ///< rows (N, G·E)
      *values;                 ///< of as many
  const std::int32_t* places;  ///< where they go (N), each to one of its own
  T *to_keys,                  ///< of the cache (·, G·E)
      *to_values;              ///< of the cache, too
  index_t columns;             ///< G·E
  /// Column j of row i.
  template <class Index>
  IAPT_DEVICE void operator()(index_t i, Index j) const {
    row<T>{to_keys + places[i] * columns}[j] = row<const T>{keys + i * columns}[j];
    row<T>{to_values + places[i] * columns}[j] = row<const T>{values + i * columns}[j];
  }
};

/// Memory of a cache: blocks of rows, taken by sequences as they grow and shared where sequences begin alike.
struct cache_size {
  index_t sequences;           ///< at most at a time
  index_t blocks;              ///< in all
  index_t block_rows;          ///< rows of a block, in each layer
  index_t blocks_of_sequence;  ///< of one sequence at most
  bool keeps_states = false;   ///< whether it has what entered each layer, too: a generator may read it again
};

/// Rows in blocks. Soft tokens are rows like any others: positions are in the keys already, so their order does not
/// matter. A block is written by one sequence alone; full ones may be shared, and held when no sequence has them.
template <class T, class Backend>
class kv_cache {
 public:
  /// Room for `capacity` rows of each of `sequences` sequences, in one piece each.
  kv_cache(Backend& backend, const transformer_config& config, index_t sequences, index_t capacity)
      : kv_cache(backend, config, {sequences, sequences, std::max<index_t>(capacity, 1), 1}) {}
  /// Blocks for sequences that come and go.
  kv_cache(Backend& backend, const transformer_config& config, const cache_size& size)
      : size_(size),
        filled_(config.layers, std::vector<index_t>(size.sequences)),
        next_position_(size.sequences),
        taken_(size.sequences),
        users_(size.blocks),
        held_(size.blocks),
        blocks_{size.block_rows, std::vector<std::int32_t>(size.sequences * size.blocks_of_sequence)} {
    for (index_t block = size.blocks; block-- > 0;) free_.push_back(std::int32_t(block));
    const extents<2> shape{size.blocks * size.block_rows, config.heads.kv_heads * config.heads.head_size};
    for (index_t l = 0; l < config.layers; ++l) {
      layers_.push_back({tensor<T, 2, Backend>(backend, shape), tensor<T, 2, Backend>(backend, shape)});
      if (size.keeps_states) states_.push_back(tensor<T, 2, Backend>(backend, {shape[0], config.hidden}));
    }
  }
  /// How large it is.
  const cache_size& size() const { return size_; }
  /// Number of sequences.
  index_t sequences() const { return size_.sequences; }
  /// Number of layers.
  index_t layers() const { return index_t(layers_.size()); }
  /// All rows of one layer (blocks · block rows, G·E).
  const key_values<T, Backend>& layer(index_t l) const { return layers_[l]; }
  /// What entered one layer, after its norm (blocks · block rows, D), if it is kept; of the rows that `keep` wrote.
  const tensor<T, 2, Backend>& states(index_t l) const { return states_[l]; }
  /// Where a sequence's blocks are in the table of `blocks()`.
  index_t begin(index_t sequence) const { return sequence * size_.blocks_of_sequence; }
  /// Blocks of all sequences, as an attention finds them.
  const past_blocks& blocks() const { return blocks_; }
  /// A sequence's i-th block.
  std::int32_t block(index_t sequence, index_t i) const { return blocks_.table[begin(sequence) + i]; }
  /// Where row i of a sequence is in a layer.
  index_t row(index_t sequence, index_t i) const {
    return block(sequence, i / size_.block_rows) * size_.block_rows + i % size_.block_rows;
  }
  /// Rows of a sequence that one layer holds.
  index_t filled(index_t l, index_t sequence) const { return filled_[l][sequence]; }
  /// Position of a sequence's next token.
  index_t& next_position(index_t sequence) { return next_position_[sequence]; }
  /// Blocks that nobody has.
  index_t free_blocks() const { return index_t(free_.size()); }
  /// Blocks that are held, but that no sequence has.
  index_t idle_blocks() const { return idle_; }
  /// Whether it is held, but no sequence has it.
  bool idle(std::int32_t block) const { return held_[block] && users_[block] == 1; }
  /// Blocks that some rows take.
  index_t blocks_for(index_t rows) const { return (rows + size_.block_rows - 1) / size_.block_rows; }

  /// Refuses what does not fit behind the rows that a sequence has in a layer.
  /// @throws shape_error if there is no such sequence, or no room for `count` more rows
  void require_room(index_t l, index_t sequence, index_t count) const {
    if (sequence < 0 || sequence >= sequences())
      throw shape_error("kv_cache: there is no sequence " + std::to_string(sequence) + " among " +
                        std::to_string(sequences()));
    const index_t needed = blocks_for(filled(l, sequence) + count);
    if (needed > size_.blocks_of_sequence)
      throw shape_error("kv_cache: no room for " + std::to_string(count) + " more rows after " +
                        std::to_string(filled(l, sequence)) + " of " +
                        std::to_string(size_.blocks_of_sequence * size_.block_rows));
    require_blocks(needed - taken_[sequence]);
  }
  /// Refuses to take more blocks than are free.
  /// @throws shape_error if so many are not free
  void require_blocks(index_t count) const {
    if (count > free_blocks())
      throw shape_error("kv_cache: " + std::to_string(count) + " more blocks of " + std::to_string(size_.block_rows) +
                        " rows are needed, " + std::to_string(free_blocks()) + " are free");
  }
  /// Takes the blocks that so many more rows of a sequence need, in all layers.
  /// @throws shape_error if there is no room
  void reserve(index_t sequence, index_t count) { reserve(0, sequence, count); }
  /// Copies rows [from, from + count) of keys and values behind what a sequence has in a layer.
  /// @throws shape_error if there is no room
  void append(index_t l, index_t sequence, const key_values<T, Backend>& rows, index_t from, index_t count) {
    reserve(l, sequence, count);
    index_t& filled = filled_[l][sequence];
    each_piece(sequence, filled, from, count, [&](index_t to, index_t first, index_t run) {
      copy(layers_[l].keys, to, rows.keys, first, run), copy(layers_[l].values, to, rows.values, first, run);
    });
    filled += count;
  }
  /// Copies rows [from, from + count) of what enters a layer to where the next so many keys and values will be.
  /// @throws shape_error if there is no room
  void keep(index_t l, index_t sequence, const tensor<T, 2, Backend>& states, index_t from, index_t count) {
    reserve(l, sequence, count);
    each_piece(sequence, filled(l, sequence), from, count,
               [&](index_t to, index_t first, index_t run) { copy(states_[l], to, states, first, run); });
  }
  /// Gives back what a sequence has; it is empty then.
  void clear(index_t sequence) {
    for (index_t i = 0; i < taken_[sequence]; ++i) leave(block(sequence, i));
    taken_[sequence] = 0, next_position_[sequence] = 0;
    for (auto& layer : filled_) layer[sequence] = 0;
  }
  /// Whether it is held.
  bool held(std::int32_t block) const { return held_[block]; }
  /// Keeps a block when no sequence has it any more.
  /// @throws shape_error if it is held already: whoever thinks that it is theirs would free it
  void hold(std::int32_t block) {
    if (held_[block]) throw shape_error("kv_cache: block " + std::to_string(block) + " is held twice");
    held_[block] = true, ++users_[block];
  }
  /// Ends that.
  void drop(std::int32_t block) {
    if (!held_[block]) return;
    if (users_[block] == 1) --idle_;
    held_[block] = false, leave(block);
  }
  /// Makes an empty sequence begin with full blocks, which it shares with whoever has or holds them.
  /// @throws shape_error if it is not empty, or there are more than one sequence may have
  void begin_with(index_t sequence, const std::vector<std::int32_t>& blocks) {
    require_empty(sequence);
    if (index_t(blocks.size()) > size_.blocks_of_sequence)
      throw shape_error("kv_cache: " + std::to_string(blocks.size()) + " blocks of one sequence, which may have " +
                        std::to_string(size_.blocks_of_sequence));
    for (const std::int32_t block : blocks) {
      if (idle(block)) --idle_;
      ++users_[block], blocks_.table[begin(sequence) + taken_[sequence]++] = block;
    }
    next_position_[sequence] = taken_[sequence] * size_.block_rows;
    for (auto& layer : filled_) layer[sequence] = next_position_[sequence];
  }
  /// Makes an empty sequence begin as another one: full blocks are shared, the rows behind them copied.
  /// @throws shape_error if it is not empty, or no block is free for those rows
  void fork(index_t from, index_t to) {
    require_empty(to);
    const index_t rows = filled(0, from), whole = rows / size_.block_rows, rest = rows % size_.block_rows;
    require_blocks(blocks_for(rest));
    const auto first = blocks_.table.begin() + begin(from);
    begin_with(to, {first, first + whole});
    next_position_[to] = next_position_[from];
    for (std::size_t l = 0; rest && l < layers_.size(); ++l) {
      const index_t behind = row(from, whole * size_.block_rows);
      if (size_.keeps_states) keep(index_t(l), to, states_[l], behind, rest);
      append(index_t(l), to, layers_[l], behind, rest);
    }
  }
  /// The rows of a layer where one more row of each of some sequences goes.
  /// @throws shape_error if there is no such sequence, or no room for all of them
  std::vector<std::int32_t> next_rows(index_t l, const std::vector<index_t>& sequences) {
    index_t blocks = 0;
    for (const index_t sequence : sequences) {
      require_room(l, sequence, 1);
      blocks += blocks_for(filled(l, sequence) + 1) - taken_[sequence];
    }
    require_blocks(blocks);
    std::vector<std::int32_t> rows;
    for (const index_t sequence : sequences) {
      reserve(l, sequence, 1);
      rows.push_back(std::int32_t(row(sequence, filled(l, sequence))));
    }
    return rows;
  }
  /// Copies row i of keys and values to row places[i] of a layer, one of its next_rows(). advance() makes them count.
  void put(index_t l, const key_values<T, Backend>& rows, const row_numbers<Backend>& places) {
    const index_t columns = rows.keys.size(1);
    const key_values<T, Backend>& to = layers_[l];
    to.keys.backend().for_each(rows.keys.size(0), columns,
                               put_loop<T>{rows.keys.data(), rows.values.data(), places.device.data(), to.keys.write(),
                                           to.values.write(), columns});
  }
  /// Some sequences have a row more in every layer, and go on at the next position.
  void advance(const std::vector<index_t>& sequences) {
    for (auto& layer : filled_)
      for (const index_t sequence : sequences) ++layer[sequence];
    for (const index_t sequence : sequences) ++next_position_[sequence];
  }

 private:
  // Takes the blocks that so many more rows need.
  void reserve(index_t l, index_t sequence, index_t count) {
    require_room(l, sequence, count);
    for (const index_t needed = blocks_for(filled(l, sequence) + count); taken_[sequence] < needed;
         ++taken_[sequence]) {
      const std::int32_t block = free_.back();
      free_.pop_back();
      users_[block] = 1, blocks_.table[begin(sequence) + taken_[sequence]] = block;
    }
  }
  // Somebody has the block no longer.
  void leave(std::int32_t block) {
    if (--users_[block] == 0) free_.push_back(block);
    if (idle(block)) ++idle_;
  }
  void require_empty(index_t sequence) const {
    if (taken_[sequence])
      throw shape_error("kv_cache: sequence " + std::to_string(sequence) + " is not empty; clear it first");
  }
  // f(to, from, count) for rows [from, from + count) that go behind the `filled` ones of a sequence, block by block.
  template <class F>
  void each_piece(index_t sequence, index_t filled, index_t from, index_t count, F f) const {
    for (const index_t end = from + count; from < end;) {
      const index_t run = blocks_.at(nullptr).contiguous_run(filled, end - from);
      f(row(sequence, filled), from, run);
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
  std::vector<tensor<T, 2, Backend>> states_;  // by layer, if they are kept
  std::vector<std::vector<index_t>> filled_;   // by layer, then sequence
  std::vector<index_t> next_position_;
  std::vector<index_t> taken_;  // blocks of each sequence
  std::vector<index_t> users_;  // of each block: sequences, and one more if it is held
  std::vector<bool> held_;
  index_t idle_ = 0;  // blocks that are held alone
  std::vector<std::int32_t> free_;
  past_blocks blocks_;
};

}  // namespace iapt
