// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server whose connections need no thread of their own. Only http_server.cpp includes Boost.Beast and Asio.
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

/// Limits of a server.
struct http_server_options {
  http_limits limits = {};              ///< sizes of a request
  std::size_t connections = 512;        ///< connections at a time; others wait in the system's queue
  std::size_t requests = 1000;          ///< requests of one connection
  std::size_t workers = 16;             ///< threads that handle requests and may wait for files
  std::chrono::seconds silence{5};      ///< time limit between requests, and between parts that a client sends
                                        ///< or receives
  std::chrono::seconds arriving{30};    ///< time limit for receiving a whole request
  std::chrono::seconds answering{630};  ///< time limit for computing and sending a whole answer
};

/// A request and its answer. Any thread may use it; several threads may use it at a time, except `request`.
class http_exchange : public std::enable_shared_from_this<http_exchange> {
 public:
  virtual ~http_exchange() = default;
  http_exchange(const http_exchange&) = delete;
  http_exchange& operator=(const http_exchange&) = delete;

  http_request request;  ///< for the handler

  /// Whether the client still waits: false when it has disconnected, or has received the whole answer.
  bool is_open() const { return is_open_; }
  /// Sends a complete answer.
  virtual void answer(http_answer whole) = 0;
  /// Streams an answer, with status 200. `next` is called on the server's own thread, so it must be quick: at once,
  /// after each `wake`, and when its last part has been sent. If it throws before it has returned any text, the
  /// exception becomes the answer; if it throws later, the connection is aborted.
  virtual void stream(std::string type, std::function<http_part()> next) = 0;
  /// Tells the server that a stream has a new part.
  virtual void wake() = 0;
  /// Runs f on a thread that may wait. An exception of f becomes the answer.
  virtual void run(std::function<void()> f) = 0;

 protected:
  http_exchange() = default;
  std::atomic<bool> is_open_ = true;  ///< see `is_open`
};

/// The functions of the program that a server calls.
struct http_handlers {
  /// Checks a request before its body is read. Called on the server's own thread, so it must be quick. An exception
  /// becomes the answer.
  std::function<void(const http_request&)> check;
  /// Answers a request, now or later. Called on a thread that may wait. An exception becomes the answer.
  std::function<void(const std::shared_ptr<http_exchange>&)> handle;
  /// Converts an exception to an answer.
  std::function<http_answer(std::exception_ptr)> refuse;
  /// Additional fields for all answers to a request.
  std::function<http_fields(const http_request&)> fields;
  /// Called with the status of each answer; 499 if the client disconnected before it got one.
  std::function<void(int)> count;
};

/// Listens, reads requests, and calls the handlers. One thread reads and writes all connections.
class http_server {
 public:
  /// Listens, but accepts no connection yet.
  /// @param port of the host; 0: any free port
  /// @throws iapt::io_error if that is not possible, or the system allows too few open files for `connections`
  http_server(const std::string& host, int port, http_server_options options, http_handlers handlers);
  /// Calls `stop`.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// The port.
  int port() const;
  /// Starts to accept connections.
  void start();
  /// Stops accepting connections. An existing connection ends with the answer that it waits for, or with the answer to
  /// its first request if that has not arrived yet; one that waits for nothing ends now.
  void drain();
  /// Number of requests that arrived before `drain` and whose answers are not complete.
  std::size_t open() const;
  /// Aborts all connections and waits for the running handlers. It may be called again.
  void stop();

 private:
  class implementation;
  std::unique_ptr<implementation> own_;
};

}  // namespace program
