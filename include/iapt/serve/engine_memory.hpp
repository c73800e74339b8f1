// SPDX-License-Identifier: Apache-2.0
// What an engine's requests have of its cache: places, blocks, and rows that others have read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "iapt/serve/mixed_pass.hpp"

namespace iapt {

/// A cache whose sequences are lines of requests.
template <class T, class Backend>
class engine_memory {
 public:
  using job = engine_job<T, Backend>;      ///< a request
  using share = engine_share<T, Backend>;  ///< what a pass reads of it

  /// All of it is free.
  /// @param share_prefixes whether requests that begin alike share what was read
  engine_memory(const causal_lm<T, Backend>& lm, const cache_size& size, bool share_prefixes)
      : cache_(lm.backend(), lm.config, size), index_(cache_), shares_(share_prefixes) {
    for (index_t place = size.sequences; place-- > 0;) places_.push_back(place);
  }

  /// The rows.
  kv_cache<T, Backend>& cache() { return cache_; }
  /// The rows.
  const kv_cache<T, Backend>& cache() const { return cache_; }
  /// Blocks that are free or will be when they are needed.
  index_t available() const { return cache_.free_blocks() + cache_.idle_blocks(); }
  /// Tokens that were not read because others had read them.
  std::size_t reused_tokens() const { return reused_tokens_; }

  /// Whether there are places for a request.
  bool has_places(const job& j) const { return j.request.options.beams <= index_t(places_.size()); }
  /// Blocks that a request still needs for the tokens that it has, one more for each further beam. A search that begins
  /// anew needs them as far as it has been.
  index_t missing(const job& j) const {
    const index_t soft = j.request.soft_tokens(), beams = j.request.options.beams;
    index_t blocks = 0;
    for (const engine_line& line : j.lines)
      blocks += std::max<index_t>(0, cache_.blocks_for(std::max(line.size(), j.reached) + soft) -
                                         cache_.blocks_for(cache_.filled(0, line.place)));
    const index_t shared = (j.prompt_size() + soft) / cache_.size().block_rows;
    const index_t own = j.lines.size() == 1 ? cache_.blocks_for(j.reached + soft) - shared : 0;
    return blocks + (beams - 1) * std::max<index_t>(1, own);
  }
  /// Gives a request its places, and a line of the tokens that it has.
  void begin(job& j) {
    const index_t beams = j.request.options.beams;
    j.places.assign(places_.end() - beams, places_.end());
    places_.resize(places_.size() - std::size_t(beams));
    j.spare = j.places;
    if (beams > 1) j.beams.emplace(j.request.options);
    if (j.lines.empty()) j.lines.push_back({j.request.prompt});
    j.lines[0].place = next_place(j);
    reuse(j);
  }
  /// Lets a request that nothing was read for begin with the blocks that others have read, but for one token at least.
  /// One that wants to hear of its prompt reads all of it.
  void reuse(job& j) {
    const index_t soft = j.request.late() ? 0 : j.request.soft_tokens();
    if (!shares_ || j.begun || j.request.read || (j.request.late() && !cache_.size().keeps_states)) return;
    engine_line& line = j.lines[0];
    const index_t most = j.request.late() ? j.prompt_size() - 1 : soft + line.size() - 1;
    const auto blocks = index_.find(j.request.scope(), line.tokens, most);
    const index_t rows = index_t(blocks.size()) * cache_.size().block_rows;
    if (rows <= soft) return;
    cache_.clear(line.place);
    cache_.begin_with(line.place, blocks);
    line.read = rows - soft;
  }
  /// Blocks that a share takes.
  index_t blocks_for(const share& s) const {
    const index_t filled = cache_.filled(0, s.line->place);
    return cache_.blocks_for(filled + s.added()) - cache_.blocks_for(filled);
  }
  /// Takes them; so many must be available.
  void reserve(const share& s) {
    index_.make_room(blocks_for(s));
    cache_.reserve(s.line->place, s.added());
  }
  /// A pass has read a share: others may share what it filled.
  void read(const share& s) {
    engine_line& line = *s.line;
    s.of->begun = true;
    if (!std::exchange(s.of->counted, true)) reused_tokens_ += std::size_t(line.read);
    line.read = s.to;
    const index_t rows = s.of->in_scope(cache_.filled(0, line.place));
    if (!shares_ || rows / cache_.size().block_rows == line.known) return;
    line.known = rows / cache_.size().block_rows;
    index_.add(s.of->request.scope(), line.tokens, line.place, rows);
  }
  /// The same line again with a place of its own, of those that its request has; a block must be available.
  engine_line copy(job& j, const engine_line& line) {
    index_.make_room(cache_.filled(0, line.place) % cache_.size().block_rows ? 1 : 0);
    engine_line own = line;
    own.place = next_place(j);
    cache_.fork(line.place, own.place);
    return own;
  }
  /// Gives back what a line has; its request keeps the place.
  void leave(job& j, const engine_line& line) {
    cache_.clear(line.place);
    j.spare.push_back(line.place);
  }
  /// Gives back all that a request has; it keeps its tokens. Beams will begin anew: their way is the same again.
  void release(job& j) {
    for (const index_t place : j.places) cache_.clear(place);
    places_.insert(places_.end(), j.places.begin(), j.places.end());
    j.places.clear(), j.spare.clear(), j.begun = false;
    if (j.beams) j.reached = std::max(j.reached, j.lines[0].size()), j.lines.clear();
    for (engine_line& line : j.lines) line = {std::move(line.tokens)};
  }

 private:
  static index_t next_place(job& j) {
    const index_t place = j.spare.back();
    j.spare.pop_back();
    return place;
  }

  kv_cache<T, Backend> cache_;
  prefix_index<T, Backend> index_;
  bool shares_;
  std::vector<index_t> places_;  // free ones
  std::size_t reused_tokens_ = 0;
};

}  // namespace iapt
