// SPDX-License-Identifier: Apache-2.0
// How an attention is cut into tiles, in the memory of a backend on Thrust.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/backend/concept.hpp"
#include "iapt/backend/thrust/attention.hpp"
#include "iapt/backend/thrust/attention_few.hpp"
#include "iapt/backend/thrust/attention_merge.hpp"
#include "iapt/core/tensor.hpp"

namespace iapt {

/// The tiles of one attention. Two tiles of keys never share a row, so that each writes its adjoints alone.
template <class Backend>
class attention_plan {
 public:
  /// Cuts sequences into tiles of `edge` rows and as many keys. A fused kernel of the machine's takes over what
  /// sequences of many rows, but at most `most_fused_rows`, see of themselves.
  attention_plan(Backend& backend, const head_layout& layout, std::span<const attention_segment> segments,
                 const past_blocks& blocks, int edge, index_t most_fused_rows)
      : layout_(layout),
        edge_(edge),
        most_fused_rows_(most_fused_rows),
        block_(blocks.rows),
        table_(on(backend, blocks.table)) {
    for (const attention_segment& s : segments) rows_ = std::max(rows_, s.begin + s.count);
    // A fused kernel counts numbers with 32 bits.
    if (rows_ * layout.heads * layout.head_size > INT32_MAX) most_fused_rows_ = 0;
    plan_fused(backend, segments);
    plan_queries(backend, segments);
    plan_keys(backend, segments);
    segments_ = on(backend, std::vector(segments.begin(), segments.end()));
  }

  /// Other sequences, which differ in their past alone; the table has as many places as before.
  /// @throws shape_error if a sequence has a past that nothing was planned for
  void replace(const std::vector<attention_segment>& others, const past_blocks& blocks) {
    for (std::size_t s = 0; s < others.size(); ++s)
      if (is_fused(others[s]) && others[s].past_count && !has_past_[s])
        throw shape_error("attention: sequence " + std::to_string(s) + " had no past when its tiles were planned");
    segments_->backend().upload(segments_->write(), others.data(), segments_->size());
    if (table_->size()) table_->backend().upload(table_->write(), blocks.table.data(), table_->size());
  }

  /// Sequences whose own rows are a fused kernel's.
  const fused_sequences& fused() const { return fused_; }
  /// Number of tiles of queries.
  index_t query_tiles() const { return queries_->size(); }
  /// Tiles of queries of sequences of many rows, which come first: all that the forward's kernel for tiles sees to.
  index_t many_query_tiles() const { return many_query_tiles_; }
  /// Shares of the keys of sequences of few rows.
  const buffer<attention_share, Backend>& shares() const { return *shares_; }
  /// Rows that several teams work on.
  const buffer<attention_split_row, Backend>& split_rows() const { return *split_rows_; }
  /// Rows of partial results.
  index_t partial_rows() const { return partial_rows_; }
  /// Number of tiles of keys.
  index_t key_tiles() const { return keys_->size(); }
  /// Rows of the packed arrays up to the last that belongs to a sequence.
  index_t rows() const { return rows_; }
  /// About how many numbers one tile touches.
  index_t work() const { return edge_ * edge_ * layout_.head_size; }
  /// What the kernels of the forward read.
  template <class T>
  attention_tiles<T> forward_tiles(attention_arrays<T> arrays, compute_type<T>* partial) const {
    arrays.past = {block_, table_->data()};
    return {arrays, {}, segments_->data(), queries_->data(), nullptr, nullptr, nullptr, partial, edge_};
  }
  /// What the kernels of the adjoints read.
  template <class T>
  attention_tiles<T> tiles(attention_arrays<T> arrays, const attention_adjoints<T>& adjoints,
                           compute_type<T>* delta) const {
    arrays.past = {block_, table_->data()};
    return {arrays,  adjoints, segments_->data(), queries_->data(), keys_->data(), seers_->data(), delta,
            nullptr, edge_};
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
  bool is_fused(const attention_segment& s) const { return s.count > few_queries && s.count <= most_fused_rows_; }
  void plan_fused(Backend& backend, std::span<const attention_segment> segments) {
    std::vector<std::int32_t> lengths, places[3];  // of queries, keys, sums
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
    std::vector<attention_query_tile> many, few;
    std::vector<attention_share> shares;
    std::vector<attention_split_row> split_rows;
    const index_t together = layout_.heads / layout_.kv_heads;
    for (index_t s = 0; s < index_t(segments.size()); ++s) {
      const attention_segment& segment = segments[s];
      const index_t rows = segment.count * together;
      const bool own = !is_fused(segment), is_few = segment.count <= few_queries;
      has_past_.push_back(segment.past_count > 0);
      for (index_t g = 0; g < layout_.kv_heads; ++g) {
        for (index_t from = 0; from < rows; from += edge_) {
          const index_t count = std::min<index_t>(edge_, rows - from);
          const bool soft = segment.prefix_count && (from + count - 1) / together >= segment.prefix_from;
          if (own || soft || segment.past_count) (is_few ? few : many).push_back({s, g, from, own});
        }
        for (index_t from = 0; is_few && from < rows; from += rows_of_share) {
          const index_t count = std::min<index_t>(rows_of_share, rows - from);
          for (index_t r = 0; r < count; ++r) split_rows.push_back({s, g, from + r, partial_rows_ + r, count});
          for (index_t share = 0; share < shares_of_keys; ++share, partial_rows_ += count)
            shares.push_back({s, g, from, share, partial_rows_});
        }
      }
    }
    many_query_tiles_ = index_t(many.size());
    many.insert(many.end(), few.begin(), few.end());
    queries_ = on(backend, many), shares_ = on(backend, shares), split_rows_ = on(backend, split_rows);
  }
  void plan_keys(Backend& backend, std::span<const attention_segment> segments) {
    std::vector<attention_key_tile> keys;
    std::vector<std::int32_t> seers;
    const auto add_keys = [&](index_t begin, index_t end, index_t first_seer, bool soft) {
      for (index_t from = begin; from < end; from += edge_)
        for (index_t g = 0; g < layout_.kv_heads; ++g)
          keys.push_back(
              {from, std::min<index_t>(edge_, end - from), g, first_seer, index_t(seers.size()) - first_seer, soft});
    };
    for (index_t s = 0; s < index_t(segments.size()); ++s) {
      if (is_fused(segments[s])) continue;
      seers.push_back(std::int32_t(s));
      add_keys(segments[s].begin, segments[s].begin + segments[s].count, index_t(seers.size()) - 1, false);
    }
    // Soft tokens may be shared: between two neighbouring ends of ranges, all are seen by the same sequences.
    std::vector<index_t> ends;
    for (const attention_segment& s : segments)
      if (s.prefix_count) ends.insert(ends.end(), {s.prefix_begin, s.prefix_begin + s.prefix_count});
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
      const index_t first_seer = index_t(seers.size());
      for (index_t s = 0; s < index_t(segments.size()); ++s)
        if (segments[s].prefix_begin <= ends[i] && ends[i] < segments[s].prefix_begin + segments[s].prefix_count)
          seers.push_back(std::int32_t(s));
      if (first_seer < index_t(seers.size())) add_keys(ends[i], ends[i + 1], first_seer, true);
    }
    keys_ = on(backend, keys), seers_ = on(backend, seers);
  }
  static constexpr index_t few_queries =
      4;  // of a sequence whose keys are shared among groups: while decoding it has one
  static constexpr index_t rows_of_share = attention_few<float>::rows, shares_of_keys = attention_few<float>::shares;
  head_layout layout_;
  int edge_;
  index_t most_fused_rows_, rows_ = 0, partial_rows_ = 0;
  fused_sequences fused_;
  stored<std::int32_t> fused_places_;
  std::vector<bool> has_past_;  // of each sequence
  stored<attention_segment> segments_;
  index_t many_query_tiles_ = 0;
  stored<attention_query_tile> queries_;
  stored<attention_share> shares_;
  stored<attention_split_row> split_rows_;
  stored<attention_key_tile> keys_;
  stored<std::int32_t> seers_;
  index_t block_;
  stored<std::int32_t> table_;
};

}  // namespace iapt
