// SPDX-License-Identifier: Apache-2.0
// A server of HTTP with a few pages, for tests of the wire without a model.
#pragma once
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "examples/support/http_routes.hpp"
#include "support/raw_client.hpp"

namespace iapt::test {

/// A server with a few pages.
class http_pages {
 public:
  explicit http_pages(program::http_server_options options = {}, std::vector<std::string> origins = {})
      : origins_(std::move(origins)), server_("127.0.0.1", 0, options, handlers()) {
    using exchange = const std::shared_ptr<program::http_exchange>&;
    routes_.add({"GET", "/ok", true, [](exchange from) { from->answer({.type = "text/plain", .body = "ok"}); }});
    routes_.add({"POST", "/echo", true, [](exchange from) { from->answer({.body = from->request.body}); }});
    routes_.add({"POST", "/secret", false, [](exchange from) { from->answer({}); }});
    routes_.add({"GET", "/wait", true, [this](exchange from) { keep(from); }});
    routes_.add({"GET", "/throw", true, [](exchange) { throw std::runtime_error("thrown"); }});
    routes_.add({"GET", "/three", true, [](exchange from) {
                   from->stream("text/plain", [left = 3]() mutable {
                     return program::http_part{"part " + std::to_string(left--) + ";", left == 0};
                   });
                 }});
    routes_.add({"GET", "/endless", true, [this](exchange from) {
                   from->stream("text/plain", [this] {
                     return ++parts, program::http_part{std::string(64 << 10, 'x'), false};
                   });
                 }});
    routes_.add({"GET", "/refused", true, [](exchange from) {
                   from->stream("text/plain", []() -> program::http_part { throw program::http_error(422, "not so"); });
                 }});
    server_.start();
  }
  ~http_pages() { server_.stop(); }

  program::http_server& server() { return server_; }
  raw_client client(int receive_buffer = 0) const { return raw_client(server_.port(), receive_buffer); }
  /// What comes back for some bytes, until the connection ends.
  std::string say(const std::string& bytes) const {
    raw_client own = client();
    own.send(bytes);
    return own.receive();
  }
  /// The exchange that /wait has kept last.
  std::shared_ptr<program::http_exchange> kept() {
    for (int i = 0; i < 200; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
      const std::lock_guard lock(mutex_);
      if (kept_) return std::exchange(kept_, nullptr);
    }
    return nullptr;
  }
  int count(int status) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(status);
    return found == counts_.end() ? 0 : found->second;
  }
  std::atomic<int> parts = 0;  // of /endless

 private:
  program::http_handlers handlers() {
    return {.check =
                [this](const program::http_request& from) {
                  const auto* route = routes_.find(from);
                  if (route && !route->open) throw program::http_error(401, "a key is needed");
                },
            .handle =
                [this](const std::shared_ptr<program::http_exchange>& exchange) {
                  const auto* route = routes_.find(exchange->request);
                  route ? route->handle(exchange) : exchange->answer(routes_.options(exchange->request));
                },
            .refuse =
                [](std::exception_ptr why) {
                  try {
                    std::rethrow_exception(why);
                  } catch (const program::http_error& refusal) {
                    program::http_answer answer{.status = refusal.status, .body = refusal.what()};
                    if (!refusal.allow.empty()) answer.fields.add("Allow", refusal.allow);
                    return answer;
                  } catch (const std::exception& failure) {
                    return program::http_answer{.status = 500, .body = failure.what()};
                  }
                },
            .fields = [this](const program::http_request& from) { return origins_.fields(from); },
            .count =
                [this](int status) {
                  const std::lock_guard lock(mutex_);
                  ++counts_[status];
                }};
  }
  void keep(const std::shared_ptr<program::http_exchange>& exchange) {
    const std::lock_guard lock(mutex_);
    kept_ = exchange;
  }

  program::http_origins origins_;
  program::http_routes routes_;
  mutable std::mutex mutex_;  // of the next two
  std::map<int, int> counts_;
  std::shared_ptr<program::http_exchange> kept_;
  program::http_server server_;
};

}  // namespace iapt::test
