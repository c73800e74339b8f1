// SPDX-License-Identifier: Apache-2.0
// Continuous batching: requests of many tenants enter and leave a batch between steps.
// Shapes: M rows of logits, V vocabulary.
#pragma once
#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "iapt/serve/engine_step.hpp"
#include "iapt/serve/scheduler.hpp"

namespace iapt {

/// Serves requests with continuous batching: `submit` requests, call `step` while it returns true.
///
/// Admission. Requests are admitted first come, first served, when there are a sequence slot for each beam and the KV
/// blocks for all tokens that they have. A request waits without blocking the queue if its client is at
/// `max_seqs_per_client`, or if blocks are short and its client has other running requests.
///
/// Scheduling. A step computes one token of each decoding sequence and, of prompts (prefill), up to
/// `max_prefill_tokens`. When KV blocks run out, the request that was admitted last is preempted: its blocks are freed
/// and its keys and values are computed again when it is admitted again. The request that was admitted first is never
/// preempted for lack of blocks, so every request makes progress. Results do not depend on the rest of the batch,
/// except by rounding. A beam search takes a sequence slot for each beam; the beams share the prompt's blocks, and
/// `on_token` is called when the search is complete.
///
/// Prompts. Front soft tokens are written from the whole prompt, so it is computed in one forward pass. Late soft
/// tokens stand before the prompt's last token: the base model computes all tokens but the last, and the same forward
/// pass writes the soft tokens; if the cache stores hidden states, they are written when the last token is computed,
/// and the prompt may be computed in chunks. A prompt that needs one forward pass and is longer than
/// `max_prefill_tokens` has a pass of its own, some layers in each step. So a step's prefill costs at most
/// `max_prefill_tokens` tokens through all layers, or one layer of one prompt if that is more.
///
/// Methods. Requests of different methods run in one batch, except those of methods that cannot be mixed: each of these
/// methods has batches of its own, in turn, at most every other step while other requests run.
///
/// Failures. If a batch with one method throws, its requests fail, and later requests of that method run alone. If a
/// batch with several methods throws, its requests are preempted and run again one method at a time. Logits that are
/// not finite fail their own request only. Callbacks must not throw, and must not call the engine.
///
/// Prefix caching. Full blocks stay cached until memory is needed. Requests of the base model and those with late soft
/// tokens reuse each other's (these only if hidden states are stored). Requests of another method reuse those of the
/// same method, and if it writes soft tokens, only for the same prompt.
template <class T, class Backend>
class engine {
 public:
  using request_type = engine_request<T, Backend>;  ///< a request

  /// An engine for a model, which must outlive the engine.
  /// @throws error if max_prefill_tokens < 1 or max_seqs_per_client < 0
  /// @throws shape_error if the cache has no room
  engine(const causal_lm<T, Backend>& lm, const engine_options& options)
      : lm_(lm), options_(options), scheduler_(lm, options) {
    if (options.max_prefill_tokens < 1) throw error("engine: max_prefill_tokens must be at least 1");
    if (options.max_seqs_per_client < 0) throw error("engine: max_seqs_per_client must be at least 0");
  }
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// Refuses a request that can never be answered. It may be called while another thread is in `step`.
  /// @throws shape_error if the request does not fit into an empty cache; the message gives the sizes
  /// @throws error if an option is invalid; the message names it
  void check(const request_type& request) const { check_request(request, options_, lm_.config); }
  /// Maximum number of KV slots of one request.
  index_t max_slots_per_request() const { return options_.max_slots_per_request(); }
  /// Maximum number of sequences of one client at the same time.
  index_t max_seqs_per_client() const { return options_.seqs_per_client(); }
  /// Adds a request to the queue. A request that asks for nothing ends here, with its `on_finish`.
  /// @throws shape_error, error as `check`
  void submit(request_type request) {
    check(request);
    const bool suspect = has_failing_method(request);
    if (request.options.max_new > 0 || request.on_prompt_token)
      scheduler_.add(std::move(request), suspect);
    else if (request.on_finish)
      request.on_finish(finish_reason::length);
  }
  /// Number of requests that wait to be admitted.
  std::size_t waiting() const { return scheduler_.waiting(); }
  /// Number of admitted requests.
  std::size_t running() const { return scheduler_.running(); }
  /// Numbers of tokens that the last step computed.
  const step_tokens& last_step() const { return last_step_; }
  /// Number of preemptions so far.
  std::size_t preemptions() const { return scheduler_.preemptions(); }
  /// Prompt tokens that were taken from the prefix cache so far.
  std::size_t reused_tokens() const { return scheduler_.memory().reused_tokens(); }
  /// The KV cache.
  const kv_cache<T, Backend>& cache() const { return scheduler_.memory().cache(); }

  /// Ends all waiting and running requests, and calls their `on_finish`.
  void end_all(finish_reason why) {
    scheduler_.end_all(why);
    long_prefill_ = nullptr;
  }

  /// Runs one step and calls the requests' callbacks.
  /// @return false if there is no request
  /// @throws device_error if the device fails, or what else stops the step; all requests are then preempted
  bool step() {
    scheduler_.end_cancelled();
    if (scheduler_.long_prefill().empty()) long_prefill_ = nullptr;  // its request is gone
    scheduler_.admit();
    if (scheduler_.running() == 0) return false;
    last_step_ = {};
    try {
      run(scheduler_.schedule());
      advance_long_prefill();
    } catch (...) {
      scheduler_.remove_ended();
      scheduler_.preempt_all();
      throw;
    }
    return true;
  }

 private:
  using state_type = request_state<T, Backend>;
  using chunk = scheduled_chunk<T, Backend>;
  using step_type = engine_step<T, Backend>;

  bool has_failing_method(const request_type& request) const {
    return request.method && failing_methods_.contains(request.method->id());
  }

  // ---- running ----

  void run(const std::vector<chunk>& chunks) {
    if (chunks.empty()) return;
    guard(chunks, [&] {
      step_type step(lm_, chunks, scheduler_.memory().cache());
      step.advance(lm_.config.layers);
      for (const chunk& c : chunks)
        (c.from >= c.state->prompt_size() && c.size() == 1 ? last_step_.decode : last_step_.prefill) += c.size();
      complete(step);
    });
  }
  // Begins the pass of the long prompt, if one is scheduled, and runs as many of its layers as cost no more than
  // max_prefill_tokens tokens, but at least one.
  void advance_long_prefill() {
    const std::vector<chunk> chunks = scheduler_.long_prefill();
    if (chunks.empty()) return;
    guard(chunks, [&] {
      if (!long_prefill_ || long_prefill_->chunks()[0].state != chunks[0].state)
        long_prefill_ = std::make_unique<step_type>(lm_, chunks, scheduler_.memory().cache());
      const index_t size = chunks[0].size();
      const index_t layers = std::max<index_t>(1, options_.max_prefill_tokens * lm_.config.layers / size);
      last_step_.prefill += long_prefill_->advance(layers) * size / lm_.config.layers;
      if (!long_prefill_->done()) return;
      scheduler_.end_long_prefill();
      complete(*std::exchange(long_prefill_, nullptr));
    });
  }
  // After the last layer: commits the chunks, chooses next tokens, and removes requests that have ended.
  void complete(const step_type& step) {
    for (const chunk& c : step.chunks()) {
      scheduler_.memory().commit(c);
      if (c.is_last && c.state->failed_steps < 2 && !has_failing_method(c.state->request)) c.state->suspect = false;
    }
    step.report_prompt_tokens([this](state_type& r) { scheduler_.end(r, finish_reason::failed); });
    if (step.needs_sample()) sample_tokens(step.logits(), step.chunks());
    for (const chunk& c : step.chunks())
      if (c.is_last && !c.needs_sample() && !c.state->ended) scheduler_.end(*c.state, finish_reason::length);
    scheduler_.remove_ended();
  }
  // Calls f, which computes the chunks. If it throws and all chunks have one method, their requests fail. If there are
  // several methods, their requests become suspects, whose methods run alone, and requests are preempted from the last
  // one on until no suspect runs. Failures of the device go on to the caller.
  template <class F>
  void guard(const std::vector<chunk>& chunks, F f) {
    try {
      return f();
    } catch (const device_error&) { throw; } catch (const std::exception& failure) {
      const auto& method = chunks[0].state->request.method;
      const bool alone =
          std::all_of(chunks.begin(), chunks.end(), [&](const chunk& c) { return c.state->request.method == method; });
      const bool by_method = !dynamic_cast<const std::bad_alloc*>(&failure);  // memory may suffice the next time
      if (alone && method && by_method) failing_methods_.insert(method->id());
      if (alone && options_.on_failure) options_.on_failure(failure.what());
      for (const chunk& c : chunks) {
        if (c.state->ended) continue;
        c.state->suspect = true, ++c.state->failed_steps;
        if (alone) scheduler_.end(*c.state, finish_reason::failed);
      }
      if (alone) return scheduler_.remove_ended();
    }
    scheduler_.remove_ended();
    scheduler_.preempt_suspects();
  }

  // ---- next tokens ----

  // Chooses the next token of each sequence whose tokens are all computed. Sequences of one request are adjacent.
  void sample_tokens(const tensor<T, 2, Backend>& logits, const std::vector<chunk>& chunks) {
    std::vector<state_type*> requests;                      // without beams
    std::vector<token_choice> choices;                      // of these
    std::vector<std::pair<state_type*, index_t>> searches;  // each with its first row of logits
    index_t row = 0;
    for (const chunk& c : chunks) {
      if (!c.needs_sample()) continue;
      state_type& r = *c.state;
      if (r.ended) {  // its sequences are gone
        ++row;
        continue;
      }
      if (!r.beams) {
        requests.push_back(&r);
        choices.push_back({&r.request.options, {r.request.prompt, r.generated()}, row});
      } else if (c.sequence == &r.sequences[0]) {
        searches.push_back({&r, row});
      }
      ++row;
    }
    const auto chosen = choose_(logits, choices);
    for (std::size_t i = 0; i < requests.size(); ++i)
      if (!requests[i]->ended) append(*requests[i], chosen[i]);
    for (const auto& [r, first] : searches)
      if (!r->ended) step_beams(*r, logits.slice(first, first + index_t(r->sequences.size())));
  }
  void append(state_type& r, const std::optional<chosen_token>& chosen) {
    const generation_options& o = r.request.options;
    if (!chosen) return scheduler_.end(r, finish_reason::failed);
    if (o.stops_at(chosen->token)) {
      if (r.request.on_prompt_token) r.request.on_prompt_token(*chosen);  // it gets all tokens outside of the answer
      return scheduler_.end(r, finish_reason::stop);
    }
    r.sequences[0].tokens.push_back(chosen->token);
    if (r.request.on_token && !r.request.on_token(*chosen))
      scheduler_.end(r, finish_reason::cancelled);
    else if (index_t(r.generated().size()) >= o.max_new)
      scheduler_.end(r, finish_reason::length);
  }
  // One step of a beam search.   logits (live beams, V)
  void step_beams(state_type& r, const tensor<T, 2, Backend>& logits) {
    std::vector<std::size_t> parents;
    try {
      const std::vector<T> rows = to_host(logits);
      parents = r.beams->step(sampler_, std::span<const T>(rows), r.request.prompt);
    } catch (const numeric_error&) { return scheduler_.end(r, finish_reason::failed); }
    if (r.beams->done()) return report_best(r, r.beams->best());
    std::vector<engine_sequence> before = std::exchange(r.sequences, {});
    for (std::size_t h = 0; h < before.size(); ++h)
      if (std::find(parents.begin(), parents.end(), h) == parents.end())
        scheduler_.memory().free_sequence(r, before[h]);
    for (auto h = parents.begin(); h != parents.end(); ++h) {  // the last child takes its parent's blocks, others fork
      engine_sequence& parent = before[*h];
      const bool last = std::find(h + 1, parents.end(), *h) == parents.end();
      r.sequences.push_back(last ? std::move(parent)
                                 : scheduler_.memory().fork(r, parent));  // the scheduler left a block for it
      r.sequences.back().tokens.push_back(r.beams->living()[r.sequences.size() - 1].tokens.back());
    }
  }
  void report_best(state_type& r, const beam_hypothesis& best) {
    for (std::size_t i = 0; i < best.tokens.size(); ++i) {
      chosen_token one{best.tokens[i]};
      if (!best.log_probabilities.empty()) one.log_probabilities = best.log_probabilities[i];
      if (r.request.on_token && !r.request.on_token(one)) return scheduler_.end(r, finish_reason::cancelled);
    }
    scheduler_.end(r, best.stopped ? finish_reason::stop : finish_reason::length);
  }
  const causal_lm<T, Backend>& lm_;
  engine_options options_;
  scheduler<T, Backend> scheduler_;
  std::unique_ptr<step_type> long_prefill_;  // the prompt that is computed layer by layer, if there is one
  std::set<std::uint64_t> failing_methods_;  // ids of methods that have thrown; they stay isolated
  step_tokens last_step_;
  token_chooser choose_;
  sampler sampler_;  // for beam searches, which need distributions instead of one token
};

}  // namespace iapt
