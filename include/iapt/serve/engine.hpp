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

/// A batch that never ends: `submit` requests, call `step` as long as it returns true.
///
/// Requests are admitted in their order, when a place and the blocks for their prompt are free. A pass reads one row of
/// each request that generates and as many rows of new prompts as `rows_in_pass` allows. When blocks run out, the
/// request that came last gives its own back and is read again later, with the tokens that it has; the oldest always
/// goes on, so none starves. A request's tokens do not depend on the others, but for rounding.
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
    const extent needed = request.late() ? 2 : 1;
    request.options.sampling.check();
    check_alternatives(request.options.log_probabilities.value_or(0));
    if (extent(request.prompt.size()) < needed)
      throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens; at least " +
                        std::to_string(needed) + " are needed");
    for (const token_id token : request.prompt) check_token(token, lm_.config);
    if (const extent most = capacity(); request.rows() > most)
      throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens, " +
                        std::to_string(request.soft_tokens()) + " soft tokens and an answer of " +
                        std::to_string(request.options.max_new) + " take " + std::to_string(request.rows()) +
                        " rows of the cache, which has " + std::to_string(most) + " for one request");
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
    for (const share& s : next.shares()) read(*s.of, s.to);
    take(logits, next.shares());
    return true;
  }

 private:
  using job = engine_job<T, Backend>;
  using share = engine_share<T, Backend>;

  extent blocks_for(const share& s) const {
    const extent filled = cache_.filled(0, s.of->place);
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
  // Blocks that a request still needs for the tokens that it has.
  extent missing(const job& j) const {
    return std::max<extent>(
        0, cache_.blocks_for(j.size() + j.request.soft_tokens()) - cache_.blocks_for(cache_.filled(0, j.place)));
  }
  // Gives waiting requests a place, in their order, while there are blocks for all of their tokens.
  void admit() {
    extent promised = 0;
    for (const auto& j : running_) promised += missing(*j);
    while (!waiting_.empty() && !places_.empty()) {
      auto next = std::make_unique<job>(std::move(waiting_.front()));
      waiting_.pop_front();
      next->place = places_.back();
      places_.pop_back();
      reuse(*next);
      promised += missing(*next);
      running_.push_back(std::move(next));
      if (promised > available()) return send_back();
    }
  }
  // A request that nothing was read for begins with the blocks that others have read, but for one token at least.
  void reuse(job& j) {
    const extent soft = j.request.late() ? 0 : j.request.soft_tokens();
    if (!options_.share_prefixes || (j.request.late() && !options_.cache.keeps_states)) return;
    const extent most = j.request.late() ? j.prompt_size() - 1 : soft + j.size() - 1;
    const auto blocks = index_.find(j.request.scope(), j.tokens, most);
    const extent rows = extent(blocks.size()) * options_.cache.block_rows;
    if (rows <= soft) return;
    cache_.clear(j.place);
    cache_.begin_with(j.place, blocks);
    j.read = rows - soft;
  }
  // A pass has read a request's tokens up to one.
  void read(job& j, extent to) {
    if (!std::exchange(j.begun, true)) reused_tokens_ += std::size_t(j.read);
    j.read = to;
    const extent rows = j.in_scope(cache_.filled(0, j.place));
    if (!options_.share_prefixes || rows / options_.cache.block_rows == j.known) return;
    j.known = rows / options_.cache.block_rows;
    index_.add(j.request.scope(), j.tokens, j.place, rows);
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
    cache_.clear(j.place);
    places_.push_back(j.place);
    j.place = -1, j.read = 0, j.known = 0, j.begun = false;
  }

  // What the next pass reads: a row of each request that generates, then of prompts what there is room for. The cache
  // then has the blocks for it.
  std::vector<share> choose_shares() {
    std::vector<share> shares;
    extent prompt_rows = 0;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const extent left = options_.rows_in_pass - prompt_rows;
      if (left <= 0 && running_[i]->size() - running_[i]->read > 1) continue;
      if (!running_[i]->begun) reuse(*running_[i]);  // others may have read more since it was admitted
      const share s = share::next(*running_[i], left, options_.cache.keeps_states);
      if (s.rows() > 1 && prompt_rows > 0 && s.rows() > left) continue;  // in one pass, but not in this one
      const extent needed = blocks_for(s);
      while (needed > available() && i + 1 < running_.size()) preempt();
      if (needed > available()) {
        preempt();  // it is the last itself; those before it go on
        break;
      }
      index_.make_room(needed);
      cache_.reserve(s.of->place, s.added());
      if (s.rows() > 1) prompt_rows += s.rows();
      shares.push_back(s);
    }
    return shares;
  }
  // The next token of each request that was read to its end.
  void take(const tensor<T, 2, Backend>& logits, const std::vector<share>& shares) {
    std::vector<job*> asked;
    std::vector<token_choice> wanted;
    for (const share& s : shares)
      if (s.asks()) {
        asked.push_back(s.of);
        wanted.push_back({&s.of->request.options, {s.of->request.prompt, s.of->generated()}});
      }
    if (asked.empty()) return;
    const auto chosen = choose(logits, wanted);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      job& j = *asked[i];
      const generation_options& o = j.request.options;
      if (!chosen[i]) {
        end(j, finish_reason::failed);
        continue;
      }
      const chosen_token& one = *chosen[i];
      if (std::find(o.stop.begin(), o.stop.end(), one.token) != o.stop.end()) {
        end(j, finish_reason::stop);
        continue;
      }
      j.tokens.push_back(one.token);
      if (j.request.seen && !j.request.seen(one))
        end(j, finish_reason::cancelled);
      else if (j.size() - j.prompt_size() >= o.max_new)
        end(j, finish_reason::length);
    }
    std::erase_if(running_, [](const auto& j) { return j->done; });
  }
  // Logits that are not finite are the misfortune of one request, not of all.
  std::vector<std::optional<chosen_token>> choose(const tensor<T, 2, Backend>& logits,
                                                  const std::vector<token_choice>& wanted) {
    std::vector<std::optional<chosen_token>> chosen;
    try {
      for (chosen_token& one : choose_tokens(sample_, logits, wanted)) chosen.push_back(std::move(one));
    } catch (const numeric_error&) {
      for (std::size_t i = 0; i < wanted.size(); ++i) try {
          const auto row = logits.slice(extent(i), extent(i) + 1);
          chosen.push_back(std::move(choose_tokens(sample_, row, std::span(&wanted[i], 1))[0]));
        } catch (const numeric_error&) { chosen.push_back({}); }
    }
    return chosen;
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
  std::size_t preemptions_ = 0, reused_tokens_ = 0;
  sampler sample_;
};

}  // namespace iapt
