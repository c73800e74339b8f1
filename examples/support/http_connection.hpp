// SPDX-License-Identifier: Apache-2.0
// A connection of the HTTP server: reads requests, calls the handlers, writes answers, in bounded time and memory.
// Unless stated otherwise, everything runs on the server's own thread.
#pragma once
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "http_parser.hpp"
#include "http_server.hpp"
#include "http_text.hpp"

namespace program {

class http_connection;

/// What all connections of a server share.
struct http_core {
  http_server_options options;                          ///< the server's limits
  http_handlers handlers;                               ///< the program's functions
  boost::asio::io_context io{1};                        ///< run by the server's thread
  boost::asio::thread_pool workers;                     ///< threads that handle requests
  std::set<std::shared_ptr<http_connection>> all = {};  ///< open connections
  std::atomic<std::size_t> open = 0;                    ///< see `http_server::open`; for any thread
  bool draining = false;                                ///< see `http_server::drain`
  std::function<void()> freed = {};                     ///< called when a connection has ended
};

/// One connection. It also reads while a request is handled, to detect at once that the client disconnects.
class http_connection : public std::enable_shared_from_this<http_connection> {
 public:
  using clock = std::chrono::steady_clock;  ///< for all time limits

  /// @param socket has just been accepted
  http_connection(boost::asio::ip::tcp::socket socket, http_core& core) : core_(core), socket_(std::move(socket)) {}

  /// Waits for a request.
  void next() {
    if (core_.draining && served_ > 0) return close();
    exchange_.reset();
    source_ = nullptr;
    parser_.emplace(core_.options.limits);
    fields_ = {};
    head_seen_ = begun_ = ended_ = old_ = only_head_ = false;
    until_ = clock::time_point::max();
    feed();
  }
  /// Closes it if its deadline has passed.
  void check_time(clock::time_point now) {
    if (now > deadline_) close();
  }
  /// Closes it if it only waits for another request.
  void close_idle() {
    if (!exchange_ && !ended_ && !parser_->begun() && served_ > 0) close();
  }
  /// Aborts it.
  void close() {
    if (!socket_.is_open()) return;
    const auto self = shared_from_this();  // the set may have the last reference
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (exchange_ && !begun_) core_.handlers.count(499);  // as other servers count a client that has disconnected
    source_ = nullptr;
    release();
    core_.all.erase(self);
    core_.freed();
  }

 private:
  class exchange;

  // ---- the request ----
  void feed() {
    try {
      for (;;) {
        const std::size_t used = parser_->put(arrived_);
        arrived_.erase(0, used);
        if (parser_->has_head() && !std::exchange(head_seen_, true)) take_head();
        if (parser_->has_all()) return handle();
        if (used == 0) break;
      }
    } catch (...) { return refuse(std::current_exception()); }
    const auto now = clock::now();
    if (parser_->begun() && until_ == clock::time_point::max()) until_ = now + core_.options.arriving;
    deadline_ = std::min(until_, now + core_.options.silence);
    if (left_) return close();  // the rest will not arrive
    read();
  }
  void take_head() {
    const http_request& request = parser_->request();
    keep_ = request.keep_alive && ++served_ < core_.options.requests;
    old_ = request.old, only_head_ = request.method == "HEAD";
    fields_ = core_.handlers.fields(request);
    core_.handlers.check(request);
    if (request.waits && arrived_.empty()) send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  void read() {
    const bool ahead = exchange_ || ended_;  // what arrives now belongs to a later request
    if (reading_ || left_ || (ahead && arrived_.size() >= core_.options.limits.head)) return;
    reading_ = true;
    socket_.async_read_some(boost::asio::buffer(in_), [self = shared_from_this()](auto failure, std::size_t size) {
      self->reading_ = false;
      if (!self->socket_.is_open()) return;  // already closed; the data are ignored
      if (failure) return self->lose(failure);
      self->received(size);
    });
  }
  void received(std::size_t size) {
    if (lingering_) return read();
    arrived_.append(in_.data(), size);
    exchange_ || ended_ ? read() : feed();
  }
  // A client that closes only its sending side cannot be distinguished from one that has disconnected. It still gets
  // an answer that is ready at once, but no stream.
  void lose(boost::system::error_code failure) {
    const bool waits = exchange_ || ended_;
    if (failure != boost::asio::error::eof || lingering_ || !waits || source_) return close();
    left_ = true;
    if (exchange_) leave();
  }
  void handle();
  void leave();
  void release();

  // ---- the answer ----
  // Rejects a request before it is handled. The connection is closed if a part of the request may follow, because that
  // part would be read as the next request: after a rejected head, or before a body.
  void refuse(std::exception_ptr why) {
    if (!head_seen_ || parser_->request().has_body) keep_ = false;
    if (!head_seen_) fields_ = core_.handlers.fields(parser_->request());  // from the part that was parsed
    respond(core_.handlers.refuse(why));
  }
  void give(http_answer whole) {
    if (!begun_) respond(whole);
  }
  void respond(const http_answer& whole) {
    const bool empty = whole.status == 204;
    std::string text = head(whole.status, empty ? "" : whole.type);
    for (const auto& [name, value] : whole.fields.all()) text += name + ": " + value + "\r\n";
    if (!empty) text += "Content-Length: " + std::to_string(whole.body.size()) + "\r\n";
    text += "\r\n";
    if (!only_head_ && !empty) text += whole.body;
    source_ = nullptr, ended_ = true;
    send(std::move(text));
  }
  // The head of an answer, without the fields of this answer only.
  std::string head(int status, const std::string& type) {
    begun_ = true;
    keep_ = keep_ && !core_.draining;
    core_.handlers.count(status);
    if (!keep_) fields_.add("Connection", "close");
    if (keep_ && old_) fields_.add("Connection", "keep-alive");
    return http_head(status, type, fields_);
  }
  void begin_stream(std::string type, std::function<http_part()> source) {
    type_ = std::move(type), source_ = std::move(source);
    if (old_) keep_ = false;  // HTTP/1.0 has no chunks: the end of the connection is the end of the answer
    pull();
  }
  // Takes the next part of a stream, unless one is being sent. So a client that does not read delays only itself.
  void pull() {
    if (sending_ || !source_) return;
    http_part part;
    try {
      part = source_();
    } catch (...) { return begun_ ? close() : give(core_.handlers.refuse(std::current_exception())); }
    if (part.text.empty() && !part.last) return;
    std::string text;
    if (!begun_) text = head(200, type_) + (old_ ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n");
    text += old_ ? part.text : http_chunk(part);
    if (part.last) source_ = nullptr, ended_ = true;
    send(std::move(text));
  }

  void send(std::string text) {
    queued_ += text;
    if (!sending_) write();
  }
  void write() {
    if (sent_ == out_.size()) out_ = std::exchange(queued_, {}), sent_ = 0;
    sending_ = true;
    deadline_ = std::min(until_, clock::now() + core_.options.silence);
    socket_.async_write_some(boost::asio::buffer(out_.data() + sent_, out_.size() - sent_),
                             [self = shared_from_this()](auto failure, std::size_t size) {
                               self->sending_ = false;
                               if (!self->socket_.is_open()) return;
                               if (failure) return self->close();
                               self->sent_ += size;
                               self->written();
                             });
  }
  void written() {
    if (sent_ < out_.size() || !queued_.empty()) return write();
    out_.clear(), out_.shrink_to_fit(), sent_ = 0;
    if (ended_) return end();
    if (exchange_) deadline_ = until_;
    pull();
  }
  void end() {
    release();
    if (keep_) return next();
    boost::system::error_code ignored;
    socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
    if (left_) return close();
    lingering_ = true;  // if the connection were closed now, a client that still sends would lose the answer
    deadline_ = clock::now() + std::chrono::seconds(2);
    arrived_.clear();
    read();
  }

  http_core& core_;
  boost::asio::ip::tcp::socket socket_;
  clock::time_point deadline_ = clock::now();           // when the connection is closed
  clock::time_point until_ = clock::time_point::max();  // deadline of this request or its answer
  std::array<char, 8192> in_;                           // buffer of the current read
  std::string arrived_;                                 // received and not parsed yet
  std::optional<http_parser> parser_;
  std::size_t served_ = 0;              // number of requests
  std::shared_ptr<exchange> exchange_;  // the request that is being handled
  bool counted_ = false;                // whether core_.open counts it
  http_fields fields_;                  // for any answer to the request
  bool old_ = false, only_head_ = false, keep_ = false;
  bool head_seen_ = false, begun_ = false, ended_ = false;  // state of the request; of the answer
  bool reading_ = false, sending_ = false;                  // whether the socket reads; writes
  bool left_ = false, lingering_ = false;  // the client sends no more; the connection waits for the client to close
  std::string type_;                       // content type of a stream, and the source of its parts
  std::function<http_part()> source_;
  std::string out_, queued_;  // bytes being sent, of which sent_ are done; bytes after them
  std::size_t sent_ = 0;
};

/// An exchange on a connection, which may be closed already.
class http_connection::exchange final : public http_exchange {
 public:
  exchange(std::weak_ptr<http_connection> connection, http_core& core, http_request from)
      : connection_(std::move(connection)), core_(core) {
    request = std::move(from);
  }
  void answer(http_answer whole) override {
    on_connection([whole = std::move(whole)](http_connection& own) mutable { own.give(std::move(whole)); });
  }
  void stream(std::string type, std::function<http_part()> next) override {
    on_connection([type = std::move(type), next = std::move(next)](http_connection& own) mutable {
      own.begin_stream(std::move(type), std::move(next));
    });
  }
  void wake() override {
    if (woken_.exchange(true)) return;
    on_connection([this](http_connection& own) { woken_ = false, own.pull(); });
  }
  void run(std::function<void()> f) override {
    boost::asio::post(core_.workers, [this, self = shared_from_this(), f = std::move(f)] {
      try {
        f();
      } catch (...) { answer(core_.handlers.refuse(std::current_exception())); }
    });
  }
  /// Notes that the client does not wait any more.
  void leave() { is_open_ = false; }

 private:
  template <class F>
  void on_connection(F f) {
    boost::asio::post(core_.io, [this, self = shared_from_this(), f = std::move(f)]() mutable {
      if (const auto own = connection_.lock(); own && own->exchange_.get() == this) f(*own);
    });
  }

  std::weak_ptr<http_connection> connection_;
  http_core& core_;
  std::atomic<bool> woken_ = false;
};

inline void http_connection::handle() {
  exchange_ = std::make_shared<exchange>(weak_from_this(), core_, std::move(parser_->request()));
  counted_ = !core_.draining;
  if (counted_) ++core_.open;
  if (left_) leave();
  deadline_ = until_ = clock::now() + core_.options.answering;
  exchange_->run([&core = core_, own = exchange_] { core.handlers.handle(own); });
  read();
}
inline void http_connection::leave() { exchange_->leave(); }
inline void http_connection::release() {
  if (exchange_) leave();
  exchange_.reset();
  if (std::exchange(counted_, false)) --core_.open;
}

}  // namespace program
