// SPDX-License-Identifier: Apache-2.0
// Keys and values of what has been read, so that the next token costs one row.
// Shapes: B sequences, C rows of room for each, G key/value heads, E numbers in a head.
#pragma once
#include <string>
#include <vector>

#include "iapt/model/config.hpp"
#include "iapt/ops/attention.hpp"
#include "iapt/ops/gather.hpp"

namespace iapt {

/// One contiguous region a sequence and layer. Soft tokens are rows like any others: positions are in the keys already,
/// so their order does not matter.
template <class T, class Backend>
class kv_cache {
 public:
  /// Room for `capacity` rows of each of `sequences` sequences.
  kv_cache(Backend& backend, const transformer_config& config, extent sequences, extent capacity)
      : capacity_(capacity), filled_(config.layers, std::vector<extent>(sequences)), next_position_(sequences) {
    const extents<2> shape{sequences * capacity, config.heads.kv_heads * config.heads.head_size};
    for (extent l = 0; l < config.layers; ++l)
      layers_.push_back({tensor<T, 2, Backend>(backend, shape), tensor<T, 2, Backend>(backend, shape)});
  }
  /// Number of sequences.
  extent sequences() const { return extent(next_position_.size()); }
  /// All rows of one layer (B·C, G·E).
  const key_values<T, Backend>& layer(extent l) const { return layers_[l]; }
  /// First row of a sequence.
  extent begin(extent sequence) const { return sequence * capacity_; }
  /// Rows of a sequence that one layer holds.
  extent filled(extent l, extent sequence) const { return filled_[l][sequence]; }
  /// Position of a sequence's next token.
  extent& next_position(extent sequence) { return next_position_[sequence]; }
  /// Refuses what does not fit behind the rows that a sequence has in a layer.
  /// @throws shape_error if there is no such sequence, or no room for `count` more rows
  void require_room(extent l, extent sequence, extent count) const {
    if (sequence < 0 || sequence >= sequences())
      throw shape_error("kv_cache: there is no sequence " + std::to_string(sequence) + " among " +
                        std::to_string(sequences()));
    if (filled(l, sequence) + count > capacity_)
      throw shape_error("kv_cache: no room for " + std::to_string(count) + " more rows after " +
                        std::to_string(filled(l, sequence)) + " of " + std::to_string(capacity_));
  }
  /// Copies rows [from, from + count) of keys and values behind what a sequence has in a layer.
  /// @throws shape_error if there is no room
  void append(extent l, extent sequence, const key_values<T, Backend>& rows, extent from, extent count) {
    require_room(l, sequence, count);
    extent& filled = filled_[l][sequence];
    const extent to = begin(sequence) + filled;
    copy(layers_[l].keys.slice(to, to + count), rows.keys.slice(from, from + count));
    copy(layers_[l].values.slice(to, to + count), rows.values.slice(from, from + count));
    filled += count;
  }
  /// The rows of a layer where one more row of each of some sequences goes.
  /// @throws shape_error if there is no such sequence, or no room
  std::vector<std::int32_t> next_rows(extent l, const std::vector<extent>& sequences) const {
    std::vector<std::int32_t> rows;
    for (const extent sequence : sequences) {
      require_room(l, sequence, 1);
      rows.push_back(std::int32_t(begin(sequence) + filled(l, sequence)));
    }
    return rows;
  }
  /// Copies row i of keys and values to row places[i] of a layer, one of its next_rows(). advance() makes them count.
  void put(extent l, const key_values<T, Backend>& rows, const row_numbers<Backend>& places) {
    const auto scatter = [&](const tensor<T, 2, Backend>& to, const tensor<T, 2, Backend>& from) {
      to.backend().groups(from.size(0), from.size(1),
                          scatter_row<T>{from.data(), places.device.data(), to.write(), from.size(1)});
    };
    scatter(layers_[l].keys, rows.keys);
    scatter(layers_[l].values, rows.values);
  }
  /// Some sequences have a row more in every layer, and go on at the next position.
  void advance(const std::vector<extent>& sequences) {
    for (auto& layer : filled_)
      for (const extent sequence : sequences) ++layer[sequence];
    for (const extent sequence : sequences) ++next_position_[sequence];
  }

 private:
  static void copy(const tensor<T, 2, Backend>& to, const tensor<T, 2, Backend>& from) {
    to.backend().copy(to.write(), from.data(), from.size());
  }
  extent capacity_;
  std::vector<key_values<T, Backend>> layers_;
  std::vector<std::vector<extent>> filled_;  // by layer, then sequence
  std::vector<extent> next_position_;
};

}  // namespace iapt
