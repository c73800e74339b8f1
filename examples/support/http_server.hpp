// SPDX-License-Identifier: Apache-2.0
// A server of HTTP/1.1 whose connections cost no thread. Boost.Beast and Asio carry it, in http_server.cpp alone.
#pragma once
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "http_message.hpp"

namespace program {

/// What a server takes on.
struct http_server_options {
  http_limits limits = {};              ///< of each request
  std::size_t connections = 512;        ///< at a time; others wait in the system's queue
  std::size_t requests = 1000;          ///< on one connection
  std::size_t workers = 16;             ///< threads that handle requests, and may wait for files
  std::chrono::seconds silence{5};      ///< of a client between its requests, and between parts of what it sends
                                        ///< or takes
  std::chrono::seconds arriving{30};    ///< for all of a request to come
  std::chrono::seconds answering{630};  ///< for all of an answer to be made and taken
};

/// A request that is being handled, and the way for its answer. Any thread may use it, all but `request` from several
/// at a time.
class http_exchange : public std::enable_shared_from_this<http_exchange> {
 public:
  virtual ~http_exchange() = default;
  http_exchange(const http_exchange&) = delete;
  http_exchange& operator=(const http_exchange&) = delete;

  http_request request;  ///< of the handler

  /// Whether somebody still waits for the answer: false once the client has left, or has all of it.
  bool wanted() const { return wanted_; }
  /// Gives the answer.
  virtual void answer(http_answer whole) = 0;
  /// Gives an answer in parts, with status 200. `next` is called on the server's own thread, so it must be quick: at
  /// once, after each `wake`, and when its last part has been sent. What it throws before it gave any text is the
  /// answer instead; what it throws later breaks the connection off.
  virtual void stream(std::string type, std::function<http_part()> next) = 0;
  /// Something new has come for a stream.
  virtual void wake() = 0;
  /// Runs f on a thread that may wait; what it throws is the answer.
  virtual void run(std::function<void()> f) = 0;

 protected:
  http_exchange() = default;
  std::atomic<bool> wanted_ = true;  ///< see `wanted`
};

/// What a server asks of the program.
struct http_handlers {
  /// What must be right before a body is read, on the server's own thread, so it must be quick. What it throws is the
  /// answer.
  std::function<void(const http_request&)> check;
  /// Answers a request, now or later, on a thread that may wait. What it throws is the answer.
  std::function<void(const std::shared_ptr<http_exchange>&)> handle;
  /// Makes an answer of what was thrown.
  std::function<http_answer(std::exception_ptr)> refuse;
  /// Fields that each answer to a request has beside its own.
  std::function<http_fields(const http_request&)> fields;
  /// Hears of the status of each answer; 499 where the client left before it had one.
  std::function<void(int)> count;
};

/// Listens, reads requests, and has them handled. One thread reads and writes all connections.
class http_server {
 public:
  /// Listens, but takes nothing yet.
  /// @param port of the host; 0: any that is free
  /// @throws iapt::io_error if that is not possible, or the system allows too few open files for `connections`
  http_server(const std::string& host, int port, http_server_options options, http_handlers handlers);
  /// As `stop`.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// The port.
  int port() const;
  /// Begins to take requests.
  void start();
  /// Accepts no more connections. Each that there is ends with the answer that it waits for, or with the answer to its
  /// first request if that is still to come; those that wait for none end now.
  void drain();
  /// Requests that came before `drain` and have not all of their answer.
  std::size_t open() const;
  /// Breaks off all that is open and waits for the handlers at work. It may be called again.
  void stop();

 private:
  class implementation;
  std::unique_ptr<implementation> own_;
};

}  // namespace program
