// SPDX-License-Identifier: Apache-2.0
// The scheduler of an engine: which requests run, and what the next step computes of them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "iapt/serve/engine_limits.hpp"
#include "iapt/serve/engine_memory.hpp"

namespace iapt {

/// The waiting and the running requests of an engine, and its KV cache. `engine` says by which rules it schedules.
template <class T, class Backend>
class scheduler {
 public:
  using request_type = engine_request<T, Backend>;  ///< a request
  using state_type = request_state<T, Backend>;     ///< a request and how far it is
  using chunk = scheduled_chunk<T, Backend>;        ///< tokens of one sequence

  /// A scheduler without requests. The model must outlive it.
  /// @throws shape_error if the cache has no room
  scheduler(const causal_lm<T, Backend>& lm, const engine_options& options)
      : options_(options), memory_(lm, options.cache, options.prefix_caching) {}

  /// The KV cache.
  engine_memory<T, Backend>& memory() { return memory_; }
  /// The KV cache.
  const engine_memory<T, Backend>& memory() const { return memory_; }
  /// Number of requests that wait to be admitted.
  std::size_t waiting() const { return waiting_.size(); }
  /// Number of admitted requests.
  std::size_t running() const { return running_.size(); }
  /// Number of preemptions so far.
  std::size_t preemptions() const { return preemptions_; }

  /// Adds a request to the end of the queue.
  /// @param suspect whether its method has to run alone
  void add(request_type request, bool suspect) {
    waiting_.push_back({.request = std::move(request), .suspect = suspect});
  }
  /// Ends a running request: frees its memory and calls its `on_finish`. `remove_ended` removes it.
  void end(state_type& r, finish_reason why) {
    free_request(r);
    r.ended = true;
    if (r.request.on_finish) r.request.on_finish(why);
  }
  /// Removes the requests that have ended.
  void remove_ended() {
    std::erase_if(running_, [](const auto& r) { return r->ended; });
  }
  /// Ends all requests.
  void end_all(finish_reason why) {
    for (const auto& r : running_)
      if (!r->ended) end(*r, why);
    running_.clear();
    for (const state_type& r : std::exchange(waiting_, {}))
      if (r.request.on_finish) r.request.on_finish(why);
  }
  /// Ends the requests that are cancelled.
  void end_cancelled() {
    const auto cancelled = [](const state_type& r) { return r.request.is_cancelled && r.request.is_cancelled(); };
    std::deque<state_type> others;  // a callback may change the queue
    for (state_type& r : std::exchange(waiting_, {})) {
      if (!cancelled(r))
        others.push_back(std::move(r));
      else if (r.request.on_finish)
        r.request.on_finish(finish_reason::cancelled);
    }
    waiting_.insert(waiting_.begin(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
    for (const auto& r : running_)
      if (cancelled(*r)) end(*r, finish_reason::cancelled);
    remove_ended();
  }
  /// Admits waiting requests in order. One whose client is at its limit, or that is short of blocks while its client
  /// has others running, is passed over; any other that lacks sequence slots or blocks stops admission.
  void admit() {
    index_t promised = 0;                   // blocks
    std::map<std::uint64_t, index_t> seqs;  // of each client
    for (const auto& r : running_) {
      promised += memory_.missing_blocks(*r);
      seqs[r->request.client] += r->request.options.beams;
    }
    for (auto next = waiting_.begin(); next != waiting_.end() && memory_.has_seq_slots(*next);) {
      index_t& of_client = seqs[next->request.client];
      if (of_client + next->request.options.beams > options_.seqs_per_client()) {
        ++next;
        continue;
      }
      auto r = std::make_unique<state_type>(std::move(*next));
      next = waiting_.erase(next);
      memory_.start(*r);
      const index_t missing = memory_.missing_blocks(*r);
      if (promised + missing <= memory_.available_blocks()) {
        promised += missing;
        of_client += r->request.options.beams;
        running_.push_back(std::move(r));
        continue;
      }
      memory_.free_request(*r);
      next = std::next(waiting_.insert(next, std::move(*r)));
      if (of_client == 0) return;
      of_client = options_.seqs_per_client();  // its client's later requests do not overtake it
    }
  }
  /// Schedules the next batch, in the order of admission: one token of each decoding sequence, and prompt tokens while
  /// the budget lasts. Allocates their blocks.
  /// @return the chunks; those of a prompt that needs a pass of its own are in `long_prefill()`
  std::vector<chunk> schedule() {
    std::vector<chunk> chunks;
    index_t prefill = long_prefill_.empty() ? 0 : options_.max_prefill_tokens;
    index_t forks = 0;  // blocks for copies when beams fork
    if (!long_prefill_.empty())
      forks = long_prefill_[0].state->request.options.beams - 1;  // it may complete in this step
    const std::optional<const any_method<T, Backend>*> alone = next_method_alone();
    for (std::size_t i = 0; i < running_.size(); ++i) {
      state_type& r = *running_[i];
      if (is_long_prefill(r)) continue;
      if (alone ? !runs_alone(r) || r.request.method.get() != *alone : runs_alone(r)) continue;
      const index_t budget = options_.max_prefill_tokens - prefill;
      if (budget <= 0 && r.sequences[0].size() - r.sequences[0].num_computed_tokens > 1) continue;
      memory_.reuse_prefix(r);  // there may be more cached blocks than when it was admitted
      std::vector<chunk> own;
      for (engine_sequence& s : r.sequences) own.push_back(chunk::next(r, s, budget, options_.cache));
      const index_t tokens = own[0].size();
      if (tokens > 1 && prefill > 0 && tokens > budget)
        continue;  // it needs one pass and exceeds the budget that is left
      index_t needed = 0;
      for (const chunk& c : own) needed += memory_.blocks_for(c);
      forks += r.request.options.beams - 1;
      while (needed + forks > memory_.available_blocks() && i + 1 < running_.size()) preempt();
      if (needed + forks > memory_.available_blocks()) {
        preempt();  // r itself, which was admitted last; the chunks so far stay
        break;
      }
      for (const chunk& c : own) memory_.allocate(c);
      if (tokens > options_.max_prefill_tokens) {
        long_prefill_ = std::move(own);
        prefill = options_.max_prefill_tokens;
        continue;
      }
      chunks.insert(chunks.end(), own.begin(), own.end());
      if (tokens > 1) prefill += tokens;
    }
    return chunks;
  }
  /// The chunk of the prompt that is computed layer by layer, if there is one; its request runs until it is computed.
  const std::vector<chunk>& long_prefill() const { return long_prefill_; }
  /// Notes that this prompt is computed.
  void end_long_prefill() { long_prefill_.clear(); }
  /// Preempts requests, the one that was admitted last first, until no suspect runs.
  void preempt_suspects() {
    while (std::any_of(running_.begin(), running_.end(), [](const auto& r) { return r->suspect; })) preempt();
  }
  /// Preempts all requests.
  void preempt_all() {
    while (!running_.empty()) preempt();
  }

 private:
  // Moves the request that was admitted last to the front of the queue.
  void preempt() {
    std::unique_ptr<state_type> last = std::move(running_.back());
    running_.pop_back();
    free_request(*last);
    waiting_.push_front(std::move(*last));
    ++preemptions_;
  }
  void free_request(state_type& r) {
    if (is_long_prefill(r)) end_long_prefill();
    memory_.free_request(r);
  }
  bool is_long_prefill(const state_type& r) const { return !long_prefill_.empty() && long_prefill_[0].state == &r; }

  // The method whose requests are the whole next batch: null is the base model, and without a value the batch is mixed.
  // Suspects' methods and methods that cannot be mixed take this in rotation; while other requests run, at most every
  // other batch is theirs.
  std::optional<const any_method<T, Backend>*> next_method_alone() {
    std::vector<const any_method<T, Backend>*> methods;  // in the order of their first requests
    for (const auto& r : running_)
      if (runs_alone(*r) && !is_long_prefill(*r) &&
          std::find(methods.begin(), methods.end(), r->request.method.get()) == methods.end())
        methods.push_back(r->request.method.get());
    const bool others = !std::all_of(running_.begin(), running_.end(), [](const auto& r) { return runs_alone(*r); });
    const bool after_alone = std::exchange(last_step_alone_, false);
    if (methods.empty() || (others && after_alone)) return {};
    last_step_alone_ = true;
    const auto id_of = [](const auto* method) { return method ? method->id() : 0; };
    const auto last =
        std::find_if(methods.begin(), methods.end(), [&](const auto* m) { return id_of(m) == last_alone_; });
    const auto next = last == methods.end() || last + 1 == methods.end() ? methods.begin() : last + 1;
    last_alone_ = id_of(*next);
    return *next;
  }
  static bool runs_alone(const state_type& r) { return r.suspect || r.request.runs_alone(); }

  engine_options options_;
  engine_memory<T, Backend> memory_;
  std::deque<state_type> waiting_;
  std::vector<std::unique_ptr<state_type>> running_;  // in the order of admission
  std::vector<chunk> long_prefill_;                   // one, or none
  bool last_step_alone_ = false;                      // whether the last batch had one method alone
  std::uint64_t last_alone_ = 0;                      // the id of that method; 0: the base model, or none yet
  std::size_t preemptions_ = 0;
};

}  // namespace iapt
