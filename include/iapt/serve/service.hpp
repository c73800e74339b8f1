// SPDX-License-Identifier: Apache-2.0
// An engine with a thread of its own: requests come from any thread, wait in a bounded queue, and are drained at the
// end.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "iapt/serve/engine.hpp"

namespace iapt {

/// The queue is full: try again later.
struct queue_full : error {
  using error::error;
};
/// The service accepts no requests after `service::drain`.
struct service_draining : error {
  using error::error;
};

/// The size of a cache in blocks of 64 slots that takes at most `bytes`. One sequence has at most the slots that the
/// model's positions need. If hidden states are stored, a slot takes D more elements in each layer.
/// @throws error if not even one block fits
template <class T>
cache_size cache_within(const transformer_config& config, std::size_t bytes, index_t sequences,
                        bool store_hidden_states = false) {
  constexpr index_t rows = 64;
  const index_t width = 2 * config.heads.kv_heads * config.heads.head_size + (store_hidden_states ? config.hidden : 0);
  const std::size_t block = std::size_t(config.layers * width * rows) * sizeof(T);
  const auto blocks = index_t(bytes / block);
  if (blocks < 1)
    throw error("cache: " + std::to_string(bytes) + " bytes hold no block of " + std::to_string(rows) +
                " rows, which takes " + std::to_string(block));
  const index_t longest = config.max_positions > 0 ? (config.max_positions + rows - 1) / rows : blocks;
  return {.sequences = sequences,
          .blocks = blocks,
          .block_size = rows,
          .max_blocks_per_seq = std::min(blocks, longest),
          .store_hidden_states = store_hidden_states};
}

/// The options of a service.
struct service_options {
  engine_options engine = {};                               ///< options of its engine
  std::size_t max_queue = 64;                               ///< requests besides those that have sequence slots
  std::size_t max_queue_per_client = 0;                     ///< the same number for one client; 0: max_queue
  std::function<void(const std::string&)> on_failure = {};  ///< called with the reason when requests fail
};

/// The present load of a service, and its counters.
struct service_load {
  std::size_t running = 0;             ///< admitted requests, as of the last step
  std::size_t waiting = 0;             ///< other accepted requests that have not ended
  std::size_t preemptions = 0;         ///< see `engine::preemptions`
  index_t blocks = 0;                  ///< blocks of the cache
  index_t free_blocks = 0;             ///< blocks that no request uses; some may be cached
  std::uint64_t prompt_tokens = 0;     ///< prompt tokens of the accepted requests
  std::uint64_t reused_tokens = 0;     ///< prompt tokens taken from the prefix cache
  std::uint64_t generated_tokens = 0;  ///< tokens generated so far
};

/// Answers requests from any thread. Callbacks run on the service's own thread and should be quick; one that throws
/// fails its own request.
template <class T, class Backend>
class service {
 public:
  using request_type = engine_request<T, Backend>;  ///< a request

  /// Starts the thread. The model must outlive the service, and its backend must be the calling thread's current one.
  service(const causal_lm<T, Backend>& lm, service_options options)
      : options_(std::move(options)), engine_(lm, with_listener(options_)), thread_([this, &backend = lm.backend()] {
          backend.make_current();
          work();
        }) {}
  /// Cancels all requests that have not ended.
  ~service() {
    {
      const std::lock_guard lock(mutex_);
      draining_ = stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  service(const service&) = delete;
  service& operator=(const service&) = delete;

  /// Accepts requests, all or none, and calls their callbacks later.
  /// @throws queue_full if too many requests wait, in total or of one client
  /// @throws service_draining after `drain`
  /// @throws shape_error, error as `engine::check`
  void submit(std::vector<request_type> requests) {
    std::size_t tokens = 0;
    for (request_type& request : requests) {
      engine_.check(request);
      tokens += request.prompt.size();
      listen(request);
    }
    std::map<std::uint64_t, std::size_t> more;  // new requests of each client
    for (const request_type& request : requests) ++more[request.client];
    const std::lock_guard lock(mutex_);
    if (draining_) throw service_draining("service: no more requests are taken");
    if (taken_ + requests.size() > max_requests())
      throw queue_full("service: " + std::to_string(taken_) + " requests are being answered or wait, of at most " +
                       std::to_string(max_requests()));
    for (const auto& [client, count] : more) {
      const auto own = taken_by_client_.find(client);
      const std::size_t taken = own == taken_by_client_.end() ? 0 : own->second;
      if (taken + count > max_requests_per_client())
        throw queue_full("service: " + std::to_string(taken) +
                         " requests of this client are being answered or wait, of at most " +
                         std::to_string(max_requests_per_client()));
    }
    for (const auto& [client, count] : more) taken_by_client_[client] += count;
    taken_ += requests.size(), load_.prompt_tokens += tokens;
    std::move(requests.begin(), requests.end(), std::back_inserter(arrived_));
    changed_.notify_all();
  }
  /// Accepts one request, as above.
  void submit(request_type request) {
    std::vector<request_type> one;
    one.push_back(std::move(request));
    submit(std::move(one));
  }
  /// Largest number of requests at the same time.
  std::size_t max_requests() const { return std::size_t(options_.engine.cache.sequences) + options_.max_queue; }
  /// Largest number of requests of one client at the same time.
  std::size_t max_requests_per_client() const {
    const std::size_t queue = options_.max_queue_per_client ? options_.max_queue_per_client : options_.max_queue;
    return std::size_t(engine_.max_seqs_per_client()) + std::min(queue, options_.max_queue);
  }
  /// Accepts no more requests, and waits until all have ended.
  void drain() {
    std::unique_lock lock(mutex_);
    draining_ = true;
    changed_.wait(lock, [&] { return taken_ == 0; });
  }
  /// Whether it accepts no more requests.
  bool draining() const {
    const std::lock_guard lock(mutex_);
    return draining_;
  }
  /// Runs f on the service's thread between two steps, and waits for it. A backend of one thread needs this.
  /// @throws whatever f throws
  void between_steps(std::function<void()> f) {
    std::packaged_task<void()> task(std::move(f));
    std::future<void> done = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      between_.push_back(std::move(task));
    }
    changed_.notify_all();
    done.get();
  }
  /// The present load.
  service_load load() const {
    const std::lock_guard lock(mutex_);
    service_load now = load_;
    now.running = std::min(now.running, taken_);  // some may have ended in the present step
    now.waiting = taken_ - now.running;
    now.blocks = options_.engine.cache.blocks, now.generated_tokens = generated_tokens_;
    return now;
  }
  /// KV slots that one request may have: prompt, soft tokens and answer.
  index_t max_slots_per_request() const { return engine_.max_slots_per_request(); }

 private:
  static engine_options with_listener(const service_options& options) {
    engine_options own = options.engine;
    own.on_failure = options.on_failure;
    return own;
  }
  // Wraps a request's callbacks, to count its tokens and its end and to catch exceptions.
  void listen(request_type& request) {
    const auto thrown = std::make_shared<bool>(false);
    if (request.on_prompt_token)
      request.on_prompt_token = [thrown, own = std::move(request.on_prompt_token)](const chosen_token& one) {
        try {
          if (!*thrown) own(one);
        } catch (...) { *thrown = true; }
      };
    if (request.is_cancelled)
      request.is_cancelled = [thrown, own = std::move(request.is_cancelled)] {
        try {
          return *thrown || own();
        } catch (...) { return *thrown = true; }
      };
    request.on_token = [this, thrown, own = std::move(request.on_token)](const chosen_token& one) {
      ++generated_tokens_;
      try {
        return !*thrown && (!own || own(one));
      } catch (...) { return *thrown = true, false; }
    };
    request.on_finish = [this, thrown, client = request.client, own = std::move(request.on_finish)](finish_reason why) {
      try {
        if (own) own(*thrown ? finish_reason::failed : why);
      } catch (...) {}  // the request has ended anyway
      const std::lock_guard lock(mutex_);
      --taken_;
      if (--taken_by_client_[client] == 0) taken_by_client_.erase(client);
      changed_.notify_all();
    };
  }
  void work() {
    bool busy = false;
    std::unique_lock lock(mutex_);
    for (;;) {
      load_.running = engine_.running(), load_.preemptions = engine_.preemptions();
      load_.free_blocks = engine_.cache().free_blocks() + engine_.cache().evictable_blocks();
      load_.reused_tokens = engine_.reused_tokens();
      changed_.wait(lock, [&] { return busy || stopping_ || !arrived_.empty() || !between_.empty(); });
      const bool stop = stopping_;
      auto requests = std::exchange(arrived_, {});
      auto tasks = std::exchange(between_, {});
      lock.unlock();
      for (auto& task : tasks) task();
      busy = pass(std::move(requests), stop);
      if (stop) return;
      lock.lock();
    }
  }
  // One step. Returns whether there may be more to do. An exception here has no request as its cause, and fails them
  // all.
  bool pass(std::vector<request_type> requests, bool stop) {
    try {
      for (auto& request : requests) engine_.submit(std::move(request));
      if (!stop) return engine_.step();
      engine_.end_all(finish_reason::cancelled);
      return false;
    } catch (const std::exception& failure) {
      engine_.end_all(finish_reason::failed);
      if (options_.on_failure) options_.on_failure(failure.what());
      return false;
    }
  }

  service_options options_;
  engine<T, Backend> engine_;  // only thread_ uses it, except for const members
  mutable std::mutex mutex_;   // protects what follows
  std::condition_variable changed_;
  std::vector<request_type> arrived_;
  std::vector<std::packaged_task<void()>> between_;
  std::size_t taken_ = 0;                                      // accepted requests that have not ended
  std::map<std::uint64_t, std::size_t> taken_by_client_ = {};  // the same number by client
  bool draining_ = false, stopping_ = false;
  service_load load_;
  std::atomic<std::uint64_t> generated_tokens_ = 0;
  std::thread thread_;  // the last member, because it uses all others
};

}  // namespace iapt
