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

/// A request that came while as many waited as may: try again later.
struct queue_full : error {
  using error::error;
};
/// A request that came after `service::drain`.
struct service_draining : error {
  using error::error;
};

/// A cache of blocks of 64 rows within so many bytes, of which one sequence has at most what the model's positions
/// take. Where it keeps states, a row takes D numbers more in each layer.
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

/// What a service takes on.
struct service_options {
  engine_options engine = {};                               ///< memory, and rows of a pass
  std::size_t max_queue = 64;                               ///< requests beyond those that there are places for
  std::size_t max_queue_per_client = 0;                     ///< of one client beyond its places; 0: all of the queue
  std::function<void(const std::string&)> on_failure = {};  ///< hears why requests failed
};

/// What a service does at a moment, and has done.
struct service_load {
  std::size_t running = 0;             ///< requests that are being read or answered, as of the last pass
  std::size_t waiting = 0;             ///< the others that were taken and have not ended
  std::size_t preemptions = 0;         ///< see `engine::preemptions`
  index_t blocks = 0;                  ///< of the cache
  index_t free_blocks = 0;             ///< of them: no request has them, though some hold what may be shared
  std::uint64_t prompt_tokens = 0;     ///< of the requests that were taken
  std::uint64_t reused_tokens = 0;     ///< of them: not read, because others had read them
  std::uint64_t generated_tokens = 0;  ///< so far
};

/// Answers requests of any thread. Listeners are called from the service's own thread and should be quick; one that
/// throws fails its own request.
template <class T, class Backend>
class service {
 public:
  using request_type = engine_request<T, Backend>;  ///< what it takes

  /// Starts the thread, for a model, which must outlive it and whose backend the calling thread uses.
  service(const causal_lm<T, Backend>& lm, service_options options)
      : options_(std::move(options)), engine_(lm, with_listener(options_)), thread_([this, &backend = lm.backend()] {
          backend.make_current();
          work();
        }) {}
  /// Ends what is still at work as cancelled.
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

  /// Takes requests, all or none, whose listeners will hear of them.
  /// @throws queue_full if too many wait, or too many of one client
  /// @throws service_draining after `drain`
  /// @throws shape_error, error if one could never be answered, as `engine::check` says
  void submit(std::vector<request_type> requests) {
    std::size_t tokens = 0;
    for (request_type& request : requests) {
      engine_.check(request);
      tokens += request.prompt.size();
      listen(request);
    }
    std::map<std::uint64_t, std::size_t> more;  // of each client
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
  /// Takes one request, as above.
  void submit(request_type request) {
    std::vector<request_type> one;
    one.push_back(std::move(request));
    submit(std::move(one));
  }
  /// Most requests that there may be at a time.
  std::size_t max_requests() const { return std::size_t(options_.engine.cache.sequences) + options_.max_queue; }
  /// Most of them that one client may have.
  std::size_t max_requests_per_client() const {
    const std::size_t queue = options_.max_queue_per_client ? options_.max_queue_per_client : options_.max_queue;
    return std::size_t(engine_.max_seqs_per_client()) + std::min(queue, options_.max_queue);
  }
  /// Takes no more requests, and waits until all have ended.
  void drain() {
    std::unique_lock lock(mutex_);
    draining_ = true;
    changed_.wait(lock, [&] { return taken_ == 0; });
  }
  /// Whether requests are no longer taken.
  bool draining() const {
    const std::lock_guard lock(mutex_);
    return draining_;
  }
  /// Runs f on the service's thread, between two passes, and waits for it: for what a backend of one thread must do.
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
  /// What it does.
  service_load load() const {
    const std::lock_guard lock(mutex_);
    service_load now = load_;
    now.running = std::min(now.running, taken_);  // some may have ended in the pass that goes on
    now.waiting = taken_ - now.running;
    now.blocks = options_.engine.cache.blocks, now.generated_tokens = generated_tokens_;
    return now;
  }
  /// Rows of the cache that one request may have: prompt, soft tokens and answer.
  index_t max_slots_per_request() const { return engine_.max_slots_per_request(); }

 private:
  static engine_options with_listener(const service_options& options) {
    engine_options own = options.engine;
    own.on_failure = options.on_failure;
    return own;
  }
  // Puts what the service itself must hear before a request's own listeners.
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
      } catch (...) {}  // it has ended anyway
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
  // Whether there may be more to do. What fails here is nobody's fault, and fails for all.
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
  engine<T, Backend> engine_;  // of thread_, but for what is const
  mutable std::mutex mutex_;   // of all that follows
  std::condition_variable changed_;
  std::vector<request_type> arrived_;
  std::vector<std::packaged_task<void()>> between_;
  std::size_t taken_ = 0;                                      // and not ended
  std::map<std::uint64_t, std::size_t> taken_by_client_ = {};  // of each client that has some
  bool draining_ = false, stopping_ = false;
  service_load load_;
  std::atomic<std::uint64_t> generated_tokens_ = 0;
  std::thread thread_;  // the last: it uses all others
};

}  // namespace iapt
