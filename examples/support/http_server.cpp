// SPDX-License-Identifier: Apache-2.0
// The HTTP server: the only translation unit that includes Boost.
#include "http_server.hpp"

#include <sys/resource.h>

#include <boost/asio/steady_timer.hpp>
#include <iapt/core/error.hpp>
#include <iostream>
#include <thread>

#include "http_connection.hpp"

namespace program {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::milliseconds tick{100};  // how often the connections' deadlines are checked
constexpr ::rlim_t other_files = 256;           // that the program may have open besides its connections

// Each connection is an open file.
void allow_files(std::size_t connections) {
  const ::rlim_t wanted = ::rlim_t(connections) + other_files;
  ::rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted) return;
  files.rlim_cur = std::min(wanted, files.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < wanted)
    throw iapt::io_error("the system allows " + std::to_string(files.rlim_max) + " open files, too few for " +
                         std::to_string(connections) + " connections and " + std::to_string(other_files) +
                         " others: raise its limit (ulimit -n) or take fewer connections");
}

}  // namespace

class http_server::implementation {
 public:
  implementation(const std::string& host, int port, http_server_options options, http_handlers handlers)
      : core_{.options = options, .handlers = std::move(handlers), .workers{options.workers}} {
    allow_files(options.connections);
    core_.freed = [this] { accept(); };
    boost::system::error_code failure;
    const auto flags = tcp::resolver::passive | tcp::resolver::numeric_service;
    for (const auto& one : tcp::resolver(core_.io).resolve(host, std::to_string(port), flags, failure))
      if (!(failure = listen(one.endpoint()))) {
        port_ = acceptor_.local_endpoint().port();
        return;
      }
    throw iapt::io_error("cannot listen on " + host + ":" + std::to_string(port) + ": " + failure.message());
  }
  ~implementation() { stop(); }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  std::size_t open() const { return core_.open; }
  int port() const { return port_; }
  void start() {
    asio::post(core_.io, [this] { accept(), watch_time(); });
    thread_ = std::thread([this] { run(); });
  }
  void drain() {
    asio::post(core_.io, [this] {
      core_.draining = true;
      take_waiting();
      acceptor_.close();
      for (const auto& one : connections()) one->close_idle();
    });
  }
  void stop() {
    if (thread_.joinable()) {
      asio::post(core_.io, [this] {
        stopping_ = true;
        acceptor_.close();
        timer_.cancel();
        for (const auto& one : connections()) one->close();
      });
      thread_.join();
    }
    core_.workers.stop();
    core_.workers.join();
  }

 private:
  // An exception, for example if there is no memory, leaves its connection open until the time limit.
  void run() {
    for (;;) try {
        core_.io.run();
        return;
      } catch (const std::exception& failure) {
        std::cerr << "iapt: a connection failed: " + std::string(failure.what()) + "\n";
      }
  }
  // A copy, because connections that end are removed from the set.
  std::vector<std::shared_ptr<http_connection>> connections() const { return {core_.all.begin(), core_.all.end()}; }

  boost::system::error_code listen(const tcp::endpoint& where) {
    boost::system::error_code failure, ignored;
    acceptor_.close(ignored);
    acceptor_.open(where.protocol(), failure);
    if (!failure) acceptor_.set_option(tcp::acceptor::reuse_address(true), failure);
    if (!failure) acceptor_.bind(where, failure);
    if (!failure) acceptor_.listen(1024, failure);  // the system drops connections beyond this number
    return failure;
  }
  void accept() {
    if (accepting_ || !acceptor_.is_open() || core_.all.size() >= core_.options.connections) return;
    accepting_ = true;
    acceptor_.async_accept([this](boost::system::error_code failure, tcp::socket socket) {
      accepting_ = false;
      if (failure || stopping_) return;  // for example, too many open files: watch_time tries again
      add(std::move(socket));
      accept();
    });
  }
  void add(tcp::socket socket) {
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const auto own = std::make_shared<http_connection>(std::move(socket), core_);
    core_.all.insert(own);
    own->next();
  }
  // Accepts the waiting connections: they may have sent a request, and would be reset when the socket is closed.
  void take_waiting() {
    boost::system::error_code failure;
    acceptor_.non_blocking(true, failure);
    while (!failure)
      if (tcp::socket socket = acceptor_.accept(failure); !failure) add(std::move(socket));
  }
  void watch_time() {
    if (stopping_) return;
    timer_.expires_after(tick);  // first: a failure below must not end the watch
    timer_.async_wait([this](boost::system::error_code) { watch_time(); });
    const auto now = http_connection::clock::now();
    for (const auto& one : connections()) one->check_time(now);
    accept();
  }

  http_core core_;
  tcp::acceptor acceptor_{core_.io};
  asio::steady_timer timer_{core_.io};
  int port_ = 0;
  bool accepting_ = false, stopping_ = false;
  std::thread thread_;  // reads and writes all connections
};

http_server::http_server(const std::string& host, int port, http_server_options options, http_handlers handlers)
    : own_(std::make_unique<implementation>(host, port, options, std::move(handlers))) {}
http_server::~http_server() = default;
int http_server::port() const { return own_->port(); }
void http_server::start() { own_->start(); }
void http_server::drain() { own_->drain(); }
std::size_t http_server::open() const { return own_->open(); }
void http_server::stop() { own_->stop(); }

}  // namespace program
