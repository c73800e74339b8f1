// SPDX-License-Identifier: Apache-2.0
// A client of bytes, for what no client of HTTP would send.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace iapt::test {

/// A connection to a port of this machine.
class raw_client {
 public:
  explicit raw_client(int port, int receive_buffer = 0) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const int one = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in to{};
    to.sin_family = AF_INET, to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  }
  raw_client(raw_client&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~raw_client() { leave(); }

  /// Sends bytes; false where the connection is broken.
  bool send(const std::string& bytes) const {
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += std::size_t(n);
    }
    return true;
  }
  /// Receives until the other side ends, or the bytes end with a text, or for so long.
  std::string receive(const std::string& until = "", std::chrono::seconds time = std::chrono::seconds(20)) {
    std::string all;
    const auto end = std::chrono::steady_clock::now() + time;
    ended_ = false;
    while (until.empty() || !all.ends_with(until)) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
      ::pollfd one{socket_, POLLIN, 0};
      if (left <= 0 || ::poll(&one, 1, int(left)) <= 0) break;
      char bytes[4096];
      const ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
      if (n <= 0) {
        ended_ = true;
        break;
      }
      all.append(bytes, std::size_t(n));
    }
    return all;
  }
  /// Whether the last `receive` saw the other side end.
  bool ended() const { return ended_; }
  /// Sends no more, but receives.
  void half_close() const { ::shutdown(socket_, SHUT_WR); }
  /// Goes at once, whatever is on its way.
  void break_off() {
    const ::linger at_once{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    leave();
  }
  /// Goes.
  void leave() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

 private:
  int socket_;
  bool ended_ = false;
};

}  // namespace iapt::test
