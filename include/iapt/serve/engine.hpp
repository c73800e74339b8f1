// SPDX-License-Identifier: Apache-2.0
// Continuous batching: requests of many tenants come and go, and every pass reads some rows of each.
// Shapes: P soft tokens of a request.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/serve/mixed_pass.hpp"

namespace iapt {

/// How much an engine takes on.
struct engine_options {
  cache_size cache = {.sequences = 64, .blocks = 1024, .block_rows = 64, .blocks_of_sequence = 128};  ///< its memory
  extent rows_in_pass = 512;   ///< of prompts, as long as more than one request is at work
  bool share_prefixes = true;  ///< whether requests that begin alike share what was read
};

/// What a pass read.
struct pass_rows {
  extent prompts = 0;  ///< rows of prompts, and of answers that are read again
  extent answers = 0;  ///< rows of answers, one for each sequence that generates
};

/// A batch that never ends: `submit` requests, call `step` as long as it returns true.
///
/// Requests are admitted in their order, when a place and the blocks for their prompt are free. A pass reads one row of
/// each request that generates and as many rows of new prompts as `rows_in_pass` allows. When blocks run out, the
/// request that came last gives its own back and is read again later, with the tokens that it has; the oldest always
/// goes on, so none starves. A request's tokens do not depend on the others, but for rounding. One with several beams
/// takes a place for each, whose rows of the prompt are the same ones; its listener hears of its tokens at the end.
///
/// Where soft tokens stand in front, a prompt is read in one pass; where they stand late, so is all of it but its last
/// token, by the bare model, and its soft tokens are written behind it in that pass, or where the cache keeps states,
/// when the last token is read.
///
/// Blocks that were read for one request serve others that begin with the same tokens, also later, until memory is
/// needed: among requests of the bare model and those whose soft tokens stand late (for these the cache must keep
/// states); else among requests of one method, and where that writes soft tokens, for the same prompt alone.
template <class T, class Backend>
class engine {
 public:
  using request_type = engine_request<T, Backend>;  ///< what it takes

  /// For a model, which must outlive it.
  engine(const causal_lm<T, Backend>& lm, const engine_options& options)
      : lm_(lm), options_(options), cache_(lm.backend(), lm.config, options.cache), index_(cache_) {
    for (extent place = options.cache.sequences; place-- > 0;) places_.push_back(place);
  }
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// Refuses a request that could never be answered. It may be called while another thread is in `step`.
  /// @throws shape_error if it could not be read even alone, naming what is too long
  /// @throws error naming an option that makes no sense
  void check(const request_type& request) const {
    const extent needed = request.late() ? 2 : 1, beams = request.options.beams;
    request.options.check();
    if (beams > options_.cache.sequences)
      throw shape_error("engine: " + std::to_string(beams) + " beams, but it has places for " +
                        std::to_string(options_.cache.sequences) + " sequences");
    if (extent(request.prompt.size()) < needed)
      throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens; at least " +
                        std::to_string(needed) + " are needed");
    for (const token_id token : request.prompt) check_token(token, lm_.config);
    if (const extent most = capacity(); request.rows() > most)
      throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens, " +
                        std::to_string(request.soft_tokens()) + " soft tokens and an answer of " +
                        std::to_string(request.options.max_new) + " take " + std::to_string(request.rows()) +
                        " rows of the cache, which has " + std::to_string(most) + " for one request");
    // Blocks that are full with the prompt serve all beams; each has its own of the rest, and one more while it is
    // made.
    const extent block = options_.cache.block_rows, shared = (request.rows() - request.options.max_new) / block;
    const extent own = (request.rows() + block - 1) / block - shared + 1;
    if (beams > 1 && shared + beams * own > options_.cache.blocks)
      throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens and " +
                        std::to_string(beams) + " beams of " + std::to_string(request.options.max_new) + " take " +
                        std::to_string(shared + beams * own) + " blocks of the cache, which has " +
                        std::to_string(options_.cache.blocks));
  }
  /// Rows of the cache that one request may have.
  extent capacity() const {
    return std::min(options_.cache.blocks, options_.cache.blocks_of_sequence) * options_.cache.block_rows;
  }
  /// Takes a request.
  /// @throws shape_error, error as `check`
  void submit(request_type request) {
    check(request);
    if (request.options.max_new > 0)
      waiting_.push_back({.request = std::move(request)});
    else if (request.finished)
      request.finished(finish_reason::length);
  }
  /// Requests that wait for a place.
  std::size_t waiting() const { return waiting_.size(); }
  /// Requests that are being read or answered.
  std::size_t running() const { return running_.size(); }
  /// What the last pass read.
  const pass_rows& last_pass() const { return last_pass_; }
  /// How often a request has given its blocks back to be read again.
  std::size_t preemptions() const { return preemptions_; }
  /// Tokens of prompts that were not read because others had read them.
  std::size_t reused_tokens() const { return reused_tokens_; }
  /// What the requests have read.
  const kv_cache<T, Backend>& cache() const { return cache_; }

  /// Ends all requests.
  void end_all(finish_reason why) {
    for (const auto& j : running_)
      if (!j->done) end(*j, why);
    running_.clear();
    for (const job& j : std::exchange(waiting_, {}))
      if (j.request.finished) j.request.finished(why);
  }

  /// One pass; false if there is nothing to do. Listeners are called from it.
  /// @throws device_error if the machine fails; all requests then wait to be read again
  bool step() {
    end_unwanted();
    admit();
    if (running_.empty()) return false;
    const mixed_pass<T, Backend> next(choose_shares(), cache_);
    tensor<T, 2, Backend> logits;
    try {
      logits = lm_.read(next.plan(), cache_, next.method());
    } catch (...) {
      while (!running_.empty()) preempt();
      throw;
    }
    last_pass_ = {};
    for (const share& s : next.shares()) {
      (s.from >= s.of->prompt_size() && s.rows() == 1 ? last_pass_.answers : last_pass_.prompts) += s.rows();
      read(*s.of, *s.line, s.to);
    }
    take(logits, next.shares());
    return true;
  }

 private:
  using job = engine_job<T, Backend>;
  using share = engine_share<T, Backend>;

  extent blocks_for(const share& s) const {
    const extent filled = cache_.filled(0, s.line->place);
    return cache_.blocks_for(filled + s.added()) - cache_.blocks_for(filled);
  }

  void end_unwanted() {
    const auto unwanted = [](const job& j) { return j.request.wanted && !j.request.wanted(); };
    std::erase_if(waiting_, [&](const job& j) {
      if (!unwanted(j)) return false;
      if (j.request.finished) j.request.finished(finish_reason::cancelled);
      return true;
    });
    for (const auto& j : running_)
      if (unwanted(*j)) end(*j, finish_reason::cancelled);
    std::erase_if(running_, [](const auto& j) { return j->done; });
  }
  // Blocks that are free or will be when they are needed.
  extent available() const { return cache_.free_blocks() + cache_.idle_blocks(); }
  // Blocks that a request still needs for the tokens that it has, one more for each further beam.
  extent missing(const job& j) const {
    extent blocks = 0;
    for (const engine_line& line : j.lines)
      blocks += std::max<extent>(0, cache_.blocks_for(line.size() + j.request.soft_tokens()) -
                                        cache_.blocks_for(cache_.filled(0, line.place)));
    return blocks + j.request.options.beams - extent(j.lines.size());
  }
  // Gives waiting requests places, in their order, while there are blocks for all of their tokens.
  void admit() {
    extent promised = 0;
    for (const auto& j : running_) promised += missing(*j);
    while (!waiting_.empty() && waiting_.front().request.options.beams <= extent(places_.size())) {
      auto next = std::make_unique<job>(std::move(waiting_.front()));
      waiting_.pop_front();
      begin(*next);
      promised += missing(*next);
      running_.push_back(std::move(next));
      if (promised > available()) return send_back();
    }
  }
  // Its places, and a line of the tokens that it has. Beams begin anew: their way is the same again.
  void begin(job& j) {
    const extent beams = j.request.options.beams;
    j.places.assign(places_.end() - beams, places_.end());
    places_.resize(places_.size() - std::size_t(beams));
    if (beams > 1) j.beams.emplace(j.request.options);
    engine_line line{j.request.prompt, next_place(j)};
    line.tokens.insert(line.tokens.end(), j.generated.begin(), j.generated.end());
    j.lines.push_back(std::move(line));
    reuse(j);
  }
  static extent next_place(job& j) {
    const extent place = j.places.back();
    j.places.pop_back();
    return place;
  }
  // A request that nothing was read for begins with the blocks that others have read, but for one token at least.
  void reuse(job& j) {
    const extent soft = j.request.late() ? 0 : j.request.soft_tokens();
    if (!options_.share_prefixes || (j.request.late() && !options_.cache.keeps_states)) return;
    engine_line& line = j.lines[0];
    const extent most = j.request.late() ? j.prompt_size() - 1 : soft + line.size() - 1;
    const auto blocks = index_.find(j.request.scope(), line.tokens, most);
    const extent rows = extent(blocks.size()) * options_.cache.block_rows;
    if (rows <= soft) return;
    cache_.clear(line.place);
    cache_.begin_with(line.place, blocks);
    line.read = rows - soft;
  }
  // A pass has read a line's tokens up to one.
  void read(job& j, engine_line& line, extent to) {
    if (!std::exchange(j.begun, true)) reused_tokens_ += std::size_t(line.read);
    line.read = to;
    const extent rows = j.in_scope(cache_.filled(0, line.place));
    if (!options_.share_prefixes || rows / options_.cache.block_rows == line.known) return;
    line.known = rows / options_.cache.block_rows;
    index_.add(j.request.scope(), line.tokens, line.place, rows);
  }
  // The request that came last goes back to the front of those that wait.
  void send_back() {
    std::unique_ptr<job> last = std::move(running_.back());
    running_.pop_back();
    release(*last);
    waiting_.push_front(std::move(*last));
  }
  void preempt() {
    send_back();
    ++preemptions_;
  }
  void release(job& j) {
    for (const engine_line& line : j.lines) leave(j, line);
    places_.insert(places_.end(), j.places.begin(), j.places.end());
    j.places.clear(), j.lines.clear(), j.begun = false;
  }
  void leave(job& j, const engine_line& line) {
    cache_.clear(line.place);
    j.places.push_back(line.place);
  }

  // What the next pass reads: a row of each line that generates, then of prompts what there is room for. The cache then
  // has the blocks for it.
  std::vector<share> choose_shares() {
    std::vector<share> shares;
    extent prompt_rows = 0, copies = 0;  // blocks that lines may take when they are continued
    for (std::size_t i = 0; i < running_.size(); ++i) {
      job& j = *running_[i];
      const extent left = options_.rows_in_pass - prompt_rows;
      if (left <= 0 && j.lines[0].size() - j.lines[0].read > 1) continue;
      if (!j.begun) reuse(j);  // others may have read more since it was admitted
      const auto next = [&](engine_line& line) { return share::next(j, line, left, options_.cache.keeps_states); };
      const extent rows = next(j.lines[0]).rows();
      if (rows > 1 && prompt_rows > 0 && rows > left) continue;  // in one pass, but not in this one
      extent needed = 0;
      for (engine_line& line : j.lines) needed += blocks_for(next(line));
      copies += j.request.options.beams - 1;
      while (needed + copies > available() && i + 1 < running_.size()) preempt();
      if (needed + copies > available()) {
        preempt();  // it is the last itself; those before it go on
        break;
      }
      index_.make_room(needed);
      for (engine_line& line : j.lines) {
        shares.push_back(next(line));
        cache_.reserve(line.place, shares.back().added());
      }
      if (rows > 1) prompt_rows += rows;
    }
    return shares;
  }
  // The next token of each line that was read to its end. Lines of one request are side by side.
  void take(const tensor<T, 2, Backend>& logits, const std::vector<share>& shares) {
    std::vector<job*> asked;
    std::vector<token_choice> wanted;
    std::vector<std::pair<job*, extent>> searches;  // and their first rows
    extent row = 0;
    for (const share& s : shares) {
      if (!s.asks()) continue;
      job& j = *s.of;
      if (!j.beams) {
        asked.push_back(&j);
        wanted.push_back({&j.request.options, {j.request.prompt, j.generated}, row});
      } else if (s.line == &j.lines[0]) {
        searches.push_back({&j, row});
      }
      ++row;
    }
    const auto chosen = choose_tokens(sample_, logits, wanted);
    for (std::size_t i = 0; i < asked.size(); ++i) take(*asked[i], chosen[i]);
    for (const auto& [j, first] : searches) search(*j, logits.slice(first, first + extent(j->lines.size())));
    std::erase_if(running_, [](const auto& j) { return j->done; });
  }
  void take(job& j, const std::optional<chosen_token>& one) {
    const generation_options& o = j.request.options;
    if (!one) return end(j, finish_reason::failed);
    if (std::find(o.stop.begin(), o.stop.end(), one->token) != o.stop.end()) return end(j, finish_reason::stop);
    j.generated.push_back(one->token);
    j.lines[0].tokens.push_back(one->token);
    if (j.request.seen && !j.request.seen(*one))
      end(j, finish_reason::cancelled);
    else if (extent(j.generated.size()) >= o.max_new)
      end(j, finish_reason::length);
  }
  // The beams of a request go one token on.   logits (lines, V)
  void search(job& j, const tensor<T, 2, Backend>& logits) {
    std::vector<std::size_t> from;
    try {
      const std::vector<T> rows = to_host(logits);
      from = j.beams->step(sample_, std::span<const T>(rows), j.request.prompt);
    } catch (const numeric_error&) { return end(j, finish_reason::failed); }
    if (j.beams->done()) return tell(j, j.beams->best());
    std::vector<engine_line> before = std::exchange(j.lines, {});
    for (std::size_t h = 0; h < before.size(); ++h)
      if (std::find(from.begin(), from.end(), h) == from.end()) leave(j, before[h]);
    for (auto h = from.begin(); h != from.end(); ++h) {  // the last that continues a line has it, the others a copy
      engine_line& line = before[*h];
      const bool last = std::find(h + 1, from.end(), *h) == from.end();
      j.lines.push_back(last ? std::move(line) : copy(j, line));
      j.lines.back().tokens.push_back(j.beams->living()[j.lines.size() - 1].tokens.back());
    }
  }
  // A line with a place of its own; choose_shares left the block that it may take.
  engine_line copy(job& j, const engine_line& line) {
    index_.make_room(1);
    engine_line own = line;
    own.place = next_place(j);
    cache_.fork(line.place, own.place);
    return own;
  }
  void tell(job& j, const beam_hypothesis& best) {
    for (std::size_t i = 0; i < best.tokens.size(); ++i) {
      chosen_token one{best.tokens[i]};
      if (!best.log_probabilities.empty()) one.log_probabilities = best.log_probabilities[i];
      if (j.request.seen && !j.request.seen(one)) return end(j, finish_reason::cancelled);
    }
    end(j, best.stopped ? finish_reason::stop : finish_reason::length);
  }
  void end(job& j, finish_reason why) {
    release(j);
    j.done = true;
    if (j.request.finished) j.request.finished(why);
  }

  const causal_lm<T, Backend>& lm_;
  engine_options options_;
  kv_cache<T, Backend> cache_;
  prefix_index<T, Backend> index_;
  std::deque<job> waiting_;
  std::vector<std::unique_ptr<job>> running_;  // in the order in which they came
  std::vector<extent> places_;                 // of the cache, free
  pass_rows last_pass_;
  std::size_t preemptions_ = 0, reused_tokens_ = 0;
  sampler sample_;
};

}  // namespace iapt
