// SPDX-License-Identifier: Apache-2.0
// Connections of HTTP that no client can hold: what it sends and takes must go on, and end in time.
#pragma once
#include <httplib.h>
#undef _res  // <resolv.h> has a macro of this name, Eigen a parameter

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

namespace program {

/// How late it may be noticed that a client has left, or that a signal has come.
inline constexpr std::chrono::milliseconds moment{100};

/// What a client may take of a connection.
struct connection_limits {
  std::chrono::seconds silence{5};    ///< between its requests, and its parts of one
  std::chrono::seconds arriving{30};  ///< for a request to come, and for an answer that is given at once
  std::size_t bytes = 1 << 20;        ///< of a request with its head
};

/// The bytes of a connection. The library's own bounds each wait alone: who sends a byte now and then would keep a
/// thread for ever, and headers without end the memory.
class connection : public httplib::Stream {
 public:
  /// Of a socket, which stays the caller's.
  connection(socket_t socket, const connection_limits& limits) : socket_(socket), limits_(limits) { here_ = this; }
  ~connection() override { here_ = nullptr; }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// That of the request that this thread answers.
  static connection& here() { return *here_; }

  /// Waits for the next request, a moment at a time while `go_on()`; false if none will come, or the last one was not
  /// `whole()`: what was left of it would be taken for a request, perhaps of another client of a proxy.
  template <class F>
  bool next(const F& go_on) {
    if (!std::exchange(whole_, false)) return false;
    taken_ = 0;
    const auto until = clock::now() + limits_.silence;
    while (!broken_ && at_ == filled_ && go_on() && clock::now() < until)
      if (wait(POLLIN, clock::now() + moment)) break;
    give(limits_.arriving);
    return !broken_ && is_readable_now();
  }
  /// The request has been read to its end.
  void whole() { whole_ = true; }
  /// From now on there is so much time for what is left of the request and its answer.
  void give(std::chrono::seconds time) { until_ = clock::now() + time; }
  /// Whether the client has left: the connection has failed, or it sends no more. One that ends its own side and still
  /// waits for an answer cannot be told from one that has gone.
  bool gone() const {
    ::pollfd one{socket_, POLLRDHUP, 0};
    return ::poll(&one, 1, 0) > 0;
  }

  bool is_readable() const override { return at_ < filled_ || ready(POLLIN); }
  bool is_writable() const override { return !gone() && ready(POLLOUT); }
  ssize_t read(char* to, std::size_t size) override {
    if (at_ == filled_) {
      const ssize_t got = ready(POLLIN) ? ::recv(socket_, buffer_.data(), buffer_.size(), 0) : -1;
      if (got <= 0) return broken_ = true, got;
      at_ = 0, filled_ = std::size_t(got);
    }
    const std::size_t n = std::min(size, filled_ - at_);
    if ((taken_ += n) > limits_.bytes) return broken_ = true, -1;
    std::memcpy(to, buffer_.data() + at_, n);
    at_ += n;
    return ssize_t(n);
  }
  ssize_t write(const char* from, std::size_t size) override {
    for (std::size_t sent = 0; sent < size;) {
      const ssize_t n = ready(POLLOUT) ? ::send(socket_, from + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
      if (n <= 0) return broken_ = true, -1;
      sent += std::size_t(n);
    }
    return ssize_t(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_; }

 private:
  using clock = std::chrono::steady_clock;
  bool is_readable_now() const { return at_ < filled_ || wait(POLLIN, clock::now()); }
  bool ready(short events) const { return wait(events, std::min(until_, clock::now() + limits_.silence)); }
  bool wait(short events, clock::time_point until) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
      ::pollfd one{socket_, events, 0};
      const int found = ::poll(&one, 1, int(std::max<long long>(left, 0)));
      if (found >= 0 || errno != EINTR) return found > 0;
    }
  }

  inline static thread_local connection* here_ = nullptr;
  socket_t socket_;
  const connection_limits& limits_;
  std::array<char, 4096> buffer_;
  std::size_t at_ = 0, filled_ = 0, taken_ = 0;
  bool broken_ = false;  // no more can be read or written
  bool whole_ = true;
  clock::time_point until_ = {};
};

/// The library's server, on such connections.
class http_server : public httplib::Server {
 public:
  connection_limits limits;  ///< of each

  /// After binding: how many connections the system may hold that were not accepted yet. The library asks for five, and
  /// of a crowd the system drops the others.
  void hold(int connections) { ::listen(svr_sock_, connections); }

 private:
  bool process_and_close_socket(socket_t socket) override {
    bool good = true;
    {
      connection own(socket, limits);
      bool closed = false;
      for (std::size_t left = keep_alive_max_count_; good && !closed && left > 0; --left) {
        if (!own.next([this] { return svr_sock_ != INVALID_SOCKET; })) break;
        good = process_request(own, left == 1, closed, nullptr);
      }
    }
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
    return good;
  }
};

}  // namespace program
