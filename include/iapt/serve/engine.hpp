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

#include "iapt/serve/engine_memory.hpp"

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
  /// @throws error if a pass could read no rows
  /// @throws shape_error if the cache could hold none
  engine(const causal_lm<T, Backend>& lm, const engine_options& options)
      : lm_(lm), options_(options), memory_(lm, options.cache, options.share_prefixes) {
    if (options.rows_in_pass < 1) throw error("engine: rows_in_pass must be at least 1");
  }
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// Refuses a request that could never be answered. It may be called while another thread is in `step`.
  /// @throws shape_error if it could not be read even alone, naming what is too long
  /// @throws error naming an option that makes no sense
  void check(const request_type& request) const {
    const extent needed = request.shortest_prompt(), beams = request.options.beams;
    request.options.check();
    if (beams > options_.cache.sequences)
      throw shape_error("engine: " + std::to_string(beams) + " beams, but it has places for " +
                        std::to_string(options_.cache.sequences) + " sequences");
    if (extent(request.prompt.size()) < needed)
      throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens; at least " +
                        std::to_string(needed) + " are needed");
    if (request.late() && (request.method->has_delta() || request.method->shares_soft_tokens()))
      throw error(
          "engine: late soft tokens in a method that adds to linear maps, too, or has the same for all prompts: rows "
          "before them are the bare model's, and each prompt's have positions of their own");
    for (const token_id token : request.prompt) check_token(token, lm_.config);
    if (const extent most = capacity(); request.options.max_new > most || request.rows() > most)
      throw shape_error("engine: a prompt of " + std::to_string(request.prompt.size()) + " tokens, " +
                        std::to_string(request.soft_tokens()) + " soft tokens and an answer of " +
                        std::to_string(request.options.max_new) + " take more rows of the cache than the " +
                        std::to_string(most) + " that it has for one request");
    // Blocks that are full with the prompt serve all beams; each has its own of the rest, and one more while it is
    // made.
    const extent shared = (request.rows() - request.options.max_new) / options_.cache.block_rows;
    const extent own = cache().blocks_for(request.rows()) - shared + 1;
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
  std::size_t reused_tokens() const { return memory_.reused_tokens(); }
  /// What the requests have read.
  const kv_cache<T, Backend>& cache() const { return memory_.cache(); }

  /// Ends all requests.
  void end_all(finish_reason why) {
    for (const auto& j : running_)
      if (!j->done) end(*j, why);
    running_.clear();
    for (const job& j : std::exchange(waiting_, {}))
      if (j.request.finished) j.request.finished(why);
  }

  /// One pass; false if there is nothing to do. Listeners are called from it.
  /// @throws device_error if the machine fails, or whatever a method throws; all requests then wait to be read again
  bool step() {
    end_unwanted();
    admit();
    if (running_.empty()) return false;
    try {
      const mixed_pass<T, Backend> next(choose_shares(), memory_.cache());
      const auto logits = lm_.read(next.plan(), memory_.cache(), next.method());
      last_pass_ = {};
      for (const share& s : next.shares()) {
        (s.from >= s.of->prompt_size() && s.rows() == 1 ? last_pass_.answers : last_pass_.prompts) += s.rows();
        memory_.read(s);
      }
      take(logits, next.shares());
    } catch (...) {
      forget_ended();
      while (!running_.empty()) preempt();
      throw;
    }
    return true;
  }

 private:
  using job = engine_job<T, Backend>;
  using share = engine_share<T, Backend>;

  void end_unwanted() {
    const auto unwanted = [](const job& j) { return j.request.wanted && !j.request.wanted(); };
    std::erase_if(waiting_, [&](const job& j) {
      if (!unwanted(j)) return false;
      if (j.request.finished) j.request.finished(finish_reason::cancelled);
      return true;
    });
    for (const auto& j : running_)
      if (unwanted(*j)) end(*j, finish_reason::cancelled);
    forget_ended();
  }
  void forget_ended() {
    std::erase_if(running_, [](const auto& j) { return j->done; });
  }
  // Gives waiting requests places, in their order, while there are blocks for all of their tokens.
  void admit() {
    extent promised = 0;
    for (const auto& j : running_) promised += memory_.missing(*j);
    while (!waiting_.empty() && memory_.has_places(waiting_.front())) {
      auto next = std::make_unique<job>(std::move(waiting_.front()));
      waiting_.pop_front();
      memory_.begin(*next);
      promised += memory_.missing(*next);
      running_.push_back(std::move(next));
      if (promised > memory_.available()) return send_back();
    }
  }
  // The request that came last goes back to the front of those that wait.
  void send_back() {
    std::unique_ptr<job> last = std::move(running_.back());
    running_.pop_back();
    memory_.release(*last);
    waiting_.push_front(std::move(*last));
  }
  void preempt() {
    send_back();
    ++preemptions_;
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
      memory_.reuse(j);  // others may have read more since it was admitted
      std::vector<share> own;
      for (engine_line& line : j.lines) own.push_back(share::next(j, line, left, options_.cache.keeps_states));
      const extent rows = own[0].rows();
      if (rows > 1 && prompt_rows > 0 && rows > left) continue;  // in one pass, but not in this one
      extent needed = 0;
      for (const share& s : own) needed += memory_.blocks_for(s);
      copies += j.request.options.beams - 1;
      while (needed + copies > memory_.available() && i + 1 < running_.size()) preempt();
      if (needed + copies > memory_.available()) {
        preempt();  // it is the last itself; those before it go on
        break;
      }
      for (const share& s : own) memory_.reserve(s);
      shares.insert(shares.end(), own.begin(), own.end());
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
        wanted.push_back({&j.request.options, {j.request.prompt, j.generated()}, row});
      } else if (s.line == &j.lines[0]) {
        searches.push_back({&j, row});
      }
      ++row;
    }
    const auto chosen = choose_(logits, wanted);
    for (std::size_t i = 0; i < asked.size(); ++i) take(*asked[i], chosen[i]);
    for (const auto& [j, first] : searches) search(*j, logits.slice(first, first + extent(j->lines.size())));
    forget_ended();
  }
  void take(job& j, const std::optional<chosen_token>& one) {
    const generation_options& o = j.request.options;
    if (!one) return end(j, finish_reason::failed);
    if (o.stops_at(one->token)) return end(j, finish_reason::stop);
    j.lines[0].tokens.push_back(one->token);
    if (j.request.seen && !j.request.seen(*one))
      end(j, finish_reason::cancelled);
    else if (extent(j.generated().size()) >= o.max_new)
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
      if (std::find(from.begin(), from.end(), h) == from.end()) memory_.leave(j, before[h]);
    for (auto h = from.begin(); h != from.end(); ++h) {  // the last that continues a line has it, the others a copy
      engine_line& line = before[*h];
      const bool last = std::find(h + 1, from.end(), *h) == from.end();
      j.lines.push_back(last ? std::move(line) : memory_.copy(j, line));  // choose_shares left a block for it
      j.lines.back().tokens.push_back(j.beams->living()[j.lines.size() - 1].tokens.back());
    }
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
    memory_.release(j);
    j.done = true;
    if (j.request.finished) j.request.finished(why);
  }

  const causal_lm<T, Backend>& lm_;
  engine_options options_;
  engine_memory<T, Backend> memory_;
  std::deque<job> waiting_;
  std::vector<std::unique_ptr<job>> running_;  // in the order in which they came
  pass_rows last_pass_;
  std::size_t preemptions_ = 0;
  token_chooser choose_;
  sampler sample_;  // of searches
};

}  // namespace iapt
