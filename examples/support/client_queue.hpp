// SPDX-License-Identifier: Apache-2.0
// The work of many clients on a few threads: no client may use all of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "http_server.hpp"

namespace program {

/// Prepares requests: reads them, tokenizes them, loads the adapter. It prepares a limited number of requests of one
/// client at a time; the client's other requests wait here without a thread.
class client_queue {
 public:
  /// @param most requests of one client that are prepared at a time
  explicit client_queue(std::size_t most) : most_(most) {}

  /// Prepares a request by calling f on a thread that may wait: now, or when earlier requests of the client are
  /// prepared. Must be called on such a thread. An exception of f becomes the answer.
  void run(std::uint64_t client, const std::shared_ptr<http_exchange>& exchange, std::function<void()> f) {
    {
      const std::lock_guard lock(mutex_);
      of_client& own = clients_[client];
      if (own.running == most_) {
        own.waiting.emplace_back(exchange, std::move(f));
        return;
      }
      ++own.running;
    }
    prepare(client, f);
  }

 private:
  struct of_client {
    std::size_t running = 0;
    std::deque<std::pair<std::shared_ptr<http_exchange>, std::function<void()>>> waiting = {};
  };

  void prepare(std::uint64_t client, const std::function<void()>& f) {
    const std::shared_ptr<void> prepared(nullptr, [this, client](void*) { next(client); });
    f();
  }
  // A request has been prepared: the client's next one goes to the workers, after those of other clients so far.
  void next(std::uint64_t client) {
    const std::lock_guard lock(mutex_);
    const auto own = clients_.find(client);
    auto& [running, waiting] = own->second;
    if (waiting.empty()) {
      if (--running == 0) clients_.erase(own);
      return;
    }
    auto [exchange, f] = std::move(waiting.front());
    waiting.pop_front();
    exchange->run([this, client, f = std::move(f)] { prepare(client, f); });
  }

  std::size_t most_;
  std::mutex mutex_;
  std::map<std::uint64_t, of_client> clients_;
};

}  // namespace program
