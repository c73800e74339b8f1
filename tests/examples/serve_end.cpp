// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The server against clients that mean it no good: its end comes in time, its stack holds, and browsers hear what they
// may read.
#include <thread>

#include "support/raw_client.hpp"
#include "support/running_server.hpp"

namespace iapt::test::examples_serve_end {

using namespace std::chrono_literals;

std::string post(const std::string& body, const std::string& more = "") {
  return "POST /v1/completions HTTP/1.1\r\nHost: x\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TEST_CASE("serve: SIGTERM ends it in its time, whatever clients do", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  running_server server(*given.program,
                        given.arguments(folder.path()) + " --max-running 1 --max-queue 1 --drain-timeout 2");
  raw_client deaf(server.port(), 4096), waits(server.port()), sends(server.port()), idle(server.port());
  deaf.send(post(endless(4000, R"(, "stream": true, "logprobs": 5)")));
  REQUIRE(server.reaches("requests_running", 1));
  waits.send(post(endless(4000)));
  REQUIRE(server.reaches("requests_waiting", 1));
  std::jthread drops([&] {
    for (const char c : post(endless(4000)) + std::string(1000, ' '))
      if (!sends.send({c}))
        break;
      else
        std::this_thread::sleep_for(100ms);
  });
  const auto begin = std::chrono::steady_clock::now();
  server.terminate();
  CHECK(server.wait() == 0);
  CHECK(std::chrono::steady_clock::now() - begin < 8s);
  sends.leave();
  CHECK(waits.receive() == "");
  CHECK(waits.ended());
}

TEST_CASE("serve: no target ends it, though its threads have small stacks", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  const auto small = folder.write("small", "#!/bin/sh\nulimit -s 4096\nexec " + word(*given.program) + " \"$@\"\n");
  std::filesystem::permissions(small, std::filesystem::perms::owner_all);
  const running_server server(small, given.arguments(folder.path()));
  const auto status = [&](const std::string& target) {
    raw_client client(server.port());
    client.send("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return client.receive().substr(0, 12);
  };
  CHECK(status("/v1/models/" + std::string(7900, 'a')) == "HTTP/1.1 404");
  CHECK(status("/v1/models/" + std::string(8100, 'a')) == "HTTP/1.1 414");
  CHECK(status("/" + std::string(100000, '/')) == "HTTP/1.1 414");
  CHECK(server.ask("/healthz").status == 200);
}

TEST_CASE("serve: pages of the origins that are allowed, and no others, may ask", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  const running_server server(*given.program, given.arguments(folder.path()) +
                                                  " --allow-origin https://a.example --allow-origin http://b.example");
  const auto head = [&](const std::string& origin, const std::string& more = "") {
    return server.ask("/v1/completions", more.empty() ? "{}" : "", "-H 'Origin: " + origin + "' " + more).head;
  };
  const std::string preflight = "-X OPTIONS -H 'Access-Control-Request-Method: POST'";
  for (const char* origin : {"https://a.example", "http://b.example"}) {
    CHECK_THAT(head(origin),
               has_text("HTTP/1.1 400 ") && has_text("Access-Control-Allow-Origin: " + std::string(origin)));
    CHECK_THAT(head(origin, preflight), has_text("HTTP/1.1 204 ") && has_text("Authorization, Content-Type"));
  }
  CHECK_THAT(head("https://c.example"), has_text("Vary: Origin") && !has_text("Access-Control-Allow-Origin"));
  const outcome wrong = shell(word(*given.program) + " --allow-origin a.example " + given.arguments(folder.path()));
  CHECK(wrong.status == 1);
  CHECK_THAT(wrong.text, has_text("--allow-origin: a.example: must be * or SCHEME://HOST"));
}

TEST_CASE("serve: what sends slowly or without end does not keep its connection", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  const running_server server(*given.program, given.arguments(folder.path()) + " --max-body 64");
  const auto send = [&](const std::string& from) {
    const auto begin = std::chrono::steady_clock::now();
    shell(from + " | timeout 90 curl -s -N telnet://" + server.address());
    return std::chrono::steady_clock::now() - begin;
  };
  // Headers without end: the server leaves, so that the sender is stopped.
  CHECK(send("{ printf 'GET / HTTP/1.1\\r\\n'; yes 'a: b'; }") < 20s);
  // A byte a second is never silent for long.
  CHECK(send("{ printf 'GET / HTTP/1.1\\r\\n'; for i in $(seq 80); do printf x || exit; sleep 1; done; }") < 60s);
  CHECK(server.ask("/healthz").status == 200);
}

TEST_CASE("serve: what is left of a request is not taken for one", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  const running_server server(*given.program, given.arguments(folder.path()));
  const auto answers = [&](const std::string& method, const std::string& header) {
    return shell("{ printf '" + method + " /healthz HTTP/1.1\\r\\nHost: x\\r\\n" + header +
                 "\\r\\nGET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'; sleep 1; } | timeout 20 curl -s -N telnet://" +
                 server.address() + " | grep -c ^HTTP")
        .text;
  };
  CHECK(answers("GET", "").find("2") == 0);
  CHECK(answers("GET", "Content-Length: 34\\r\\n").find("1") == 0);
  CHECK(answers("DELETE", "Content-Length: 34\\r\\n").find("1") == 0);
}

}  // namespace iapt::test::examples_serve_end
