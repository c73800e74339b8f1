// SPDX-License-Identifier: Apache-2.0
// How an attention is divided into tiles, for backends on Thrust.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/thrust/attention.hpp"
#include "iapt/backend/thrust/decode_attention.hpp"
#include "iapt/backend/thrust/decode_merge.hpp"
#include "iapt/core/tensor.hpp"

namespace iapt {

/// The tiles of one attention. Two tiles of keys never share a row, so only one team writes an adjoint of a key.
template <class Backend>
class attention_plan {
 public:
  /// Divides sequences into tiles of `tile_size` rows and as many keys. A fused kernel of the backend computes the
  /// causal self-attention of sequences of more than decode_query_limit and at most `most_fused_rows` rows.
  attention_plan(Backend& backend, const head_layout& layout, std::span<const attention_segment> segments,
                 const block_table& table, int tile_size, index_t most_fused_rows)
      : layout_(layout),
        tile_size_(tile_size),
        most_fused_rows_(most_fused_rows),
        block_(table.block_size),
        table_(on(backend, table.blocks)) {
    for (const attention_segment& s : segments) rows_ = std::max(rows_, s.begin + s.count);
    // A fused kernel counts elements in 32 bits.
    if (rows_ * layout.heads * layout.head_size > INT32_MAX) most_fused_rows_ = 0;
    plan_fused(backend, segments);
    plan_queries(backend, segments);
    plan_keys(backend, segments);
    segments_ = on(backend, std::vector(segments.begin(), segments.end()));
  }

  /// Replaces the sequences by others that differ only in their past; the table has as many blocks as before.
  /// @throws shape_error if a sequence of the fused kernel has a past, but had none when the plan was computed
  void replace(const std::vector<attention_segment>& others, const block_table& table) {
    for (std::size_t s = 0; s < others.size(); ++s)
      if (is_fused(others[s]) && others[s].past_count && !has_past_[s])
        throw shape_error("attention: sequence " + std::to_string(s) + " had no past when its tiles were planned");
    segments_->backend().upload(segments_->write(), others.data(), segments_->size());
    if (table_->size()) table_->backend().upload(table_->write(), table.blocks.data(), table_->size());
  }

  /// The sequences of the fused kernel.
  const fused_sequences& fused() const { return fused_; }
  /// Number of tiles of queries.
  index_t query_tiles() const { return queries_->size(); }
  /// Number of tiles of queries of sequences with more than decode_query_limit queries. They come first, and
  /// attention_forward_tile computes them.
  index_t prefill_query_tiles() const { return prefill_query_tiles_; }
  /// The KV splits of all sequences that decode_attention computes.
  const buffer<attention_kv_split, Backend>& kv_splits() const { return *kv_splits_; }
  /// The rows of these sequences, for decode_merge.
  const buffer<split_row, Backend>& split_rows() const { return *split_rows_; }
  /// Number of rows of partial results.
  index_t partial_rows() const { return partial_rows_; }
  /// Number of tiles of keys.
  index_t key_tiles() const { return keys_->size(); }
  /// Number of rows of the packed arrays, up to the last one of a sequence.
  index_t rows() const { return rows_; }
  /// About how many elements one tile touches.
  index_t work() const { return tile_size_ * tile_size_ * layout_.head_size; }
  /// Arguments of the forward's kernels.
  template <class T>
  attention_tiles<T> forward_tiles(attention_arrays<T> arrays, compute_type<T>* partial) const {
    arrays.past = {block_, table_->data()};
    return {arrays, {}, segments_->data(), queries_->data(), nullptr, nullptr, nullptr, partial, tile_size_};
  }
  /// Arguments of the adjoints' kernels.
  template <class T>
  attention_tiles<T> tiles(attention_arrays<T> arrays, const attention_adjoints<T>& adjoints,
                           compute_type<T>* delta) const {
    arrays.past = {block_, table_->data()};
    return {arrays, adjoints, segments_->data(), queries_->data(), keys_->data(), attending_sequences_->data(),
            delta,  nullptr,  tile_size_};
  }

 private:
  template <class X>
  using stored = std::shared_ptr<buffer<X, Backend>>;
  template <class X>
  static stored<X> on(Backend& backend, const std::vector<X>& x) {
    auto copy = std::make_shared<buffer<X, Backend>>(backend, index_t(x.size()));
    if (!x.empty()) backend.upload(copy->write(), x.data(), index_t(x.size()));
    return copy;
  }
  bool is_fused(const attention_segment& s) const {
    return s.count > decode_query_limit && s.count <= most_fused_rows_;
  }
  void plan_fused(Backend& backend, std::span<const attention_segment> segments) {
    std::vector<std::int32_t> lengths, places[3];  // offsets of queries, keys, sums
    const index_t widths[] = {layout_.heads * layout_.head_size, layout_.kv_heads * layout_.head_size, layout_.heads};
    for (const attention_segment& s : segments) {
      if (!is_fused(s)) continue;
      lengths.push_back(std::int32_t(s.count));
      fused_.longest = std::max(fused_.longest, s.count);
      for (int i = 0; i < 3; ++i) places[i].push_back(std::int32_t(s.begin * widths[i]));
      fused_.rows = std::max(fused_.rows, s.begin + s.count);
    }
    if (lengths.empty()) return;
    for (int i = 0; i < 3; ++i) places[i].push_back(std::int32_t(fused_.rows * widths[i]));
    fused_.count = index_t(lengths.size());
    std::vector<std::int32_t> all = std::move(lengths);
    for (const auto& some : places) all.insert(all.end(), some.begin(), some.end());
    fused_places_ = on(backend, all);
    fused_.lengths = fused_places_->data();
    fused_.query_offsets = fused_.lengths + fused_.count;
    fused_.key_offsets = fused_.query_offsets + fused_.count + 1;
    fused_.sum_offsets = fused_.key_offsets + fused_.count + 1;
  }
  void plan_queries(Backend& backend, std::span<const attention_segment> segments) {
    std::vector<attention_query_tile> prefill, decode;
    std::vector<attention_kv_split> kv_splits;
    std::vector<split_row> split_rows;
    const index_t heads_per_kv_head = layout_.heads / layout_.kv_heads;
    for (index_t s = 0; s < index_t(segments.size()); ++s) {
      const attention_segment& segment = segments[s];
      const index_t rows = segment.count * heads_per_kv_head;
      const bool own = !is_fused(segment), is_decode = segment.count <= decode_query_limit;
      has_past_.push_back(segment.past_count > 0);
      for (index_t g = 0; g < layout_.kv_heads; ++g) {
        for (index_t from = 0; from < rows; from += tile_size_) {
          const index_t last = (std::min(from + tile_size_, rows) - 1) / heads_per_kv_head;
          const bool soft = visibility::keys(segment, key_kind::soft, last) > 0;
          if (own || soft || segment.past_count) (is_decode ? decode : prefill).push_back({s, g, from, own});
        }
        for (index_t from = 0; is_decode && from < rows; from += rows_per_split) {
          const index_t count = std::min<index_t>(rows_per_split, rows - from);
          for (index_t r = 0; r < count; ++r) split_rows.push_back({s, g, from + r, partial_rows_ + r, count});
          for (index_t split = 0; split < kv_splits_per_sequence; ++split, partial_rows_ += count)
            kv_splits.push_back({s, g, from, split, partial_rows_});
        }
      }
    }
    prefill_query_tiles_ = index_t(prefill.size());
    prefill.insert(prefill.end(), decode.begin(), decode.end());
    queries_ = on(backend, prefill), kv_splits_ = on(backend, kv_splits), split_rows_ = on(backend, split_rows);
  }
  void plan_keys(Backend& backend, std::span<const attention_segment> segments) {
    std::vector<attention_key_tile> keys;
    std::vector<std::int32_t> attending_sequences;
    const auto add_keys = [&](index_t begin, index_t end, index_t first_sequence, bool soft) {
      for (index_t from = begin; from < end; from += tile_size_)
        for (index_t g = 0; g < layout_.kv_heads; ++g)
          keys.push_back({from, std::min<index_t>(tile_size_, end - from), g, first_sequence,
                          index_t(attending_sequences.size()) - first_sequence, soft});
    };
    for (index_t s = 0; s < index_t(segments.size()); ++s) {
      if (is_fused(segments[s])) continue;
      attending_sequences.push_back(std::int32_t(s));
      add_keys(segments[s].begin, segments[s].begin + segments[s].count, index_t(attending_sequences.size()) - 1,
               false);
    }
    // Soft tokens may be shared: between two neighbouring ends of ranges, the same sequences attend to all of them.
    std::vector<index_t> ends;
    for (const attention_segment& s : segments)
      if (s.soft_count) ends.insert(ends.end(), {s.soft_begin, s.soft_begin + s.soft_count});
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
      const index_t first_sequence = index_t(attending_sequences.size());
      for (index_t s = 0; s < index_t(segments.size()); ++s)
        if (segments[s].soft_begin <= ends[i] && ends[i] < segments[s].soft_begin + segments[s].soft_count)
          attending_sequences.push_back(std::int32_t(s));
      if (first_sequence < index_t(attending_sequences.size())) add_keys(ends[i], ends[i + 1], first_sequence, true);
    }
    keys_ = on(backend, keys), attending_sequences_ = on(backend, attending_sequences);
  }
  static constexpr index_t decode_query_limit = 4;  // sequences of at most this many queries use decode_attention
  static constexpr index_t rows_per_split = decode_attention<float>::rows,
                           kv_splits_per_sequence = decode_attention<float>::kv_splits;
  head_layout layout_;
  int tile_size_;
  index_t most_fused_rows_, rows_ = 0, partial_rows_ = 0;
  fused_sequences fused_;
  stored<std::int32_t> fused_places_;
  std::vector<bool> has_past_;  // whether each sequence had a past when the plan was computed
  stored<attention_segment> segments_;
  index_t prefill_query_tiles_ = 0;
  stored<attention_query_tile> queries_;
  stored<attention_kv_split> kv_splits_;
  stored<split_row> split_rows_;
  stored<attention_key_tile> keys_;
  stored<std::int32_t> attending_sequences_;
  index_t block_;
  stored<std::int32_t> table_;
};

}  // namespace iapt
