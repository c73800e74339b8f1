// SPDX-License-Identifier: Apache-2.0
// Continuous batching: requests of many tenants come and go, and every pass reads some rows of each.
// Shapes: P soft tokens of a request.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/serve/engine_limits.hpp"
#include "iapt/serve/engine_memory.hpp"
#include "iapt/serve/engine_pass.hpp"

namespace iapt {

/// A batch that never ends: `submit` requests, call `step` as long as it returns true.
///
/// Requests are admitted in their order, when a place and the blocks for their prompt are free; one whose client has
/// all the places that it may have lets others pass. A pass reads one row of each request that generates and as many
/// rows of new prompts as `rows_in_pass` allows. When blocks run out, the request that came last gives its own back and
/// is read again later, with the tokens that it has; the oldest always goes on, so none starves. A request's tokens do
/// not depend on the others, but for rounding. One with several beams takes a place for each, whose rows of the prompt
/// are the same ones; its listener hears of its tokens at the end.
///
/// Where soft tokens stand in front, a prompt is read in one pass; where they stand late, so is all of it but its last
/// token, by the bare model, and its soft tokens are written behind it in that pass, or where the cache keeps states,
/// when the last token is read. A prompt that is longer than `rows_in_pass`, and must be read so, has a pass of its
/// own, some layers of it in each step. So a step never reads more of prompts than `rows_in_pass` rows through all
/// layers cost, or one layer of one prompt where that is more: between two tokens of an answer there is no more than
/// that.
///
/// A method that throws, or whose numbers are not finite, fails its own requests: where a pass fails, what it read is
/// read again, method by method, and so are later requests of a method that failed.
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
    if (options.places_of_client < 0) throw error("engine: places_of_client must be at least 0");
  }
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// Refuses a request that could never be answered. It may be called while another thread is in `step`.
  /// @throws shape_error if it could not be read even alone, naming what is too long
  /// @throws error naming an option that makes no sense
  void check(const request_type& request) const { check_request(request, options_, lm_.config); }
  /// Rows of the cache that one request may have.
  index_t capacity() const { return options_.rows_of_request(); }
  /// Sequences that the requests of one client may have at a time.
  index_t places_of_client() const { return options_.sequences_of_client(); }
  /// Takes a request.
  /// @throws shape_error, error as `check`
  void submit(request_type request) {
    check(request);
    const bool failing = request.method && failing_.contains(request.method->number());
    if (request.options.max_new > 0 || request.read)
      waiting_.push_back({.request = std::move(request), .suspect = failing});
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
  /// @throws device_error if the machine fails; all requests then wait to be read again
  bool step() {
    end_unwanted();
    admit();
    if (running_.empty()) return false;
    last_pass_ = {};
    try {
      read(choose_shares());
      if (long_) go_on();
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
  using pass = engine_pass<T, Backend>;

  // One pass over shares of any requests.
  void read(const std::vector<share>& shares) {
    if (shares.empty()) return;
    guard(shares, [&] {
      pass whole(lm_, shares, memory_.cache());
      whole.advance(lm_.config.layers);
      for (const share& s : shares)
        (s.from >= s.of->prompt_size() && s.rows() == 1 ? last_pass_.answers : last_pass_.prompts) += s.rows();
      finish(whole);
    });
  }
  // Some layers of the long prompt: as many as cost what a pass may read of prompts, but one at least.
  void go_on() {
    const share s = long_->shares()[0];
    guard({s}, [&] {
      const index_t layers = std::max<index_t>(1, options_.rows_in_pass * lm_.config.layers / s.rows());
      long_->advance(layers);
      last_pass_.prompts += std::min(layers, lm_.config.layers) * s.rows() / lm_.config.layers;
      if (long_->done()) finish(*std::exchange(long_, nullptr));
    });
  }
  // What follows when all layers have run.
  void finish(const pass& whole) {
    for (const share& s : whole.shares()) {
      memory_.read(s);
      if (s.ends && !(s.of->request.method && failing_.contains(s.of->request.method->number()))) s.of->suspect = false;
    }
    whole.tell_prompts([this](job& j) { end(j, finish_reason::failed); });
    if (whole.asks()) take(whole.logits(), whole.shares());
    for (const share& s : whole.shares())
      if (s.ends && !s.asks() && !s.of->done) end(*s.of, finish_reason::length);
    forget_ended();
  }
  // Reads shares by calling f. Where a method fails, its requests fail; where that may have been one of several, all
  // are suspects, and begin anew.
  template <class F>
  void guard(const std::vector<share>& shares, F f) {
    try {
      return f();
    } catch (const device_error&) { throw; } catch (const std::exception& failure) {
      const auto& method = shares[0].of->request.method;
      const bool alone =
          std::all_of(shares.begin(), shares.end(), [&](const share& s) { return s.of->request.method == method; });
      const bool of_method = !dynamic_cast<const std::bad_alloc*>(&failure);  // memory may be there the next time
      if (alone && method && of_method) failing_.insert(method->number());
      if (alone && options_.on_failure) options_.on_failure(failure.what());
      for (const share& s : shares) {
        if (s.of->done) continue;
        s.of->suspect = true;
        if (alone) end(*s.of, finish_reason::failed);
      }
      if (alone) return forget_ended();
    }
    const auto failed = [](const auto& j) { return j->suspect; };
    forget_ended();
    while (std::any_of(running_.begin(), running_.end(), failed)) preempt();
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
    forget_ended();
  }
  void forget_ended() {
    std::erase_if(running_, [](const auto& j) { return j->done; });
  }
  // Gives waiting requests places, in their order, while there are blocks for all of their tokens. One whose client has
  // its places already, or has others running where there are no blocks for it, stays where it is.
  void admit() {
    index_t promised = 0;
    std::map<std::uint64_t, index_t> places;  // of each client
    for (const auto& j : running_) {
      promised += memory_.missing(*j);
      places[j->request.client] += j->request.options.beams;
    }
    for (auto next = waiting_.begin(); next != waiting_.end() && memory_.has_places(*next);) {
      index_t& taken = places[next->request.client];
      if (taken + next->request.options.beams > places_of_client()) {
        ++next;
        continue;
      }
      auto own = std::make_unique<job>(std::move(*next));
      next = waiting_.erase(next);
      memory_.begin(*own);
      const index_t missing = memory_.missing(*own);
      if (promised + missing <= memory_.available()) {
        promised += missing;
        taken += own->request.options.beams;
        running_.push_back(std::move(own));
        continue;
      }
      memory_.release(*own);
      next = std::next(waiting_.insert(next, std::move(*own)));
      if (taken == 0) return;
      taken = places_of_client();  // it waits for what its own client has, and lets the others pass
    }
  }
  // The request that came last goes back to the front of those that wait.
  void send_back() {
    std::unique_ptr<job> last = std::move(running_.back());
    running_.pop_back();
    release(*last);
    waiting_.push_front(std::move(*last));
  }
  // A request gives back what it has. Its prompt, if it is the long one, is read no further.
  void release(job& j) {
    if (long_ && long_->shares()[0].of == &j) long_ = nullptr;
    memory_.release(j);
  }
  void preempt() {
    send_back();
    ++preemptions_;
  }

  // What the next pass reads: a row of each line that generates, then of prompts what there is room for. The cache then
  // has the blocks for it.
  std::vector<share> choose_shares() {
    std::vector<share> shares;
    index_t prompt_rows = long_ ? options_.rows_in_pass : 0;
    index_t copies = 0;  // blocks that lines may take when they are continued
    const job* const apart = next_suspect();
    for (std::size_t i = 0; i < running_.size(); ++i) {
      job& j = *running_[i];
      if (long_ && long_->shares()[0].of == &j) continue;
      if (apart ? !j.suspect || j.request.method != apart->request.method : j.suspect) continue;
      const index_t left = options_.rows_in_pass - prompt_rows;
      if (left <= 0 && j.lines[0].size() - j.lines[0].read > 1) continue;
      memory_.reuse(j);  // others may have read more since it was admitted
      std::vector<share> own;
      for (engine_line& line : j.lines) own.push_back(share::next(j, line, left, options_.cache.keeps_states));
      const index_t rows = own[0].rows();
      if (rows > 1 && prompt_rows > 0 && rows > left) continue;  // in one pass, but not in this one
      index_t needed = 0;
      for (const share& s : own) needed += memory_.blocks_for(s);
      copies += j.request.options.beams - 1;
      while (needed + copies > memory_.available() && i + 1 < running_.size()) preempt();
      if (needed + copies > memory_.available()) {
        preempt();  // it is the last itself; those before it go on
        break;
      }
      for (const share& s : own) memory_.reserve(s);
      if (rows > options_.rows_in_pass) {
        long_ = std::make_unique<pass>(lm_, own, memory_.cache());
        prompt_rows = options_.rows_in_pass;
        continue;
      }
      shares.insert(shares.end(), own.begin(), own.end());
      if (rows > 1) prompt_rows += rows;
    }
    return shares;
  }
  // One whose method the next pass reads alone, if any. The others have every other pass.
  const job* next_suspect() {
    const auto is_suspect = [](const auto& j) { return j->suspect; };
    const auto first = std::find_if(running_.begin(), running_.end(), is_suspect);
    const bool others = !std::all_of(running_.begin(), running_.end(), is_suspect);
    apart_ = first != running_.end() && !(others && apart_);
    return apart_ ? first->get() : nullptr;
  }
  // The next token of each line that was read to its end. Lines of one request are side by side.
  void take(const tensor<T, 2, Backend>& logits, const std::vector<share>& shares) {
    std::vector<job*> asked;
    std::vector<token_choice> wanted;
    std::vector<std::pair<job*, index_t>> searches;  // and their first rows
    index_t row = 0;
    for (const share& s : shares) {
      if (!s.asks()) continue;
      job& j = *s.of;
      if (j.done) {  // its lines are gone
        ++row;
        continue;
      }
      if (!j.beams) {
        asked.push_back(&j);
        wanted.push_back({&j.request.options, {j.request.prompt, j.generated()}, row});
      } else if (s.line == &j.lines[0]) {
        searches.push_back({&j, row});
      }
      ++row;
    }
    const auto chosen = choose_(logits, wanted);
    for (std::size_t i = 0; i < asked.size(); ++i)
      if (!asked[i]->done) take(*asked[i], chosen[i]);
    for (const auto& [j, first] : searches)
      if (!j->done) search(*j, logits.slice(first, first + index_t(j->lines.size())));
  }
  void take(job& j, const std::optional<chosen_token>& one) {
    const generation_options& o = j.request.options;
    if (!one) return end(j, finish_reason::failed);
    if (o.stops_at(one->token)) {
      if (j.request.read) j.request.read(*one);
      return end(j, finish_reason::stop);
    }
    j.lines[0].tokens.push_back(one->token);
    if (j.request.seen && !j.request.seen(*one))
      end(j, finish_reason::cancelled);
    else if (index_t(j.generated().size()) >= o.max_new)
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
    release(j);
    j.done = true;
    if (j.request.finished) j.request.finished(why);
  }

  const causal_lm<T, Backend>& lm_;
  engine_options options_;
  engine_memory<T, Backend> memory_;
  std::deque<job> waiting_;
  std::vector<std::unique_ptr<job>> running_;  // in the order in which they came
  std::unique_ptr<pass> long_;                 // of one of them
  std::set<std::uint64_t> failing_;            // methods that failed, by number
  bool apart_ = false;                         // whether the last pass read a suspect's method alone
  pass_rows last_pass_;
  std::size_t preemptions_ = 0;
  token_chooser choose_;
  sampler sample_;  // of searches
};

}  // namespace iapt
