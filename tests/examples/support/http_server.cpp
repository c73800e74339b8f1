// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The server of HTTP on the wire, without a model: what it answers, what it bounds, and its end.
#include "examples/support/http_server.hpp"

#include <thread>
#include <vector>

#include "support/http_pages.hpp"

namespace iapt::test::examples_support_http_server {

using namespace std::chrono_literals;
using namespace program;

std::string get(const std::string& path, const std::string& fields = "", const std::string& version = "1.1") {
  return "GET " + path + " HTTP/" + version + "\r\nHost: x\r\n" + fields + "\r\n";
}
const std::string last = "Connection: close\r\n";
std::string post(const std::string& path, const std::string& body, const std::string& fields = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + fields + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
int answers(const std::string& text) {
  int found = 0;
  for (std::size_t at = 0; (at = text.find("HTTP/1.1 ", at)) != std::string::npos; ++at) ++found;
  return found;
}
template <class F>
bool comes(F f) {
  for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms))
    if (f()) return true;
  return false;
}

TEST_CASE("http_server: answers, one after the other on a connection", "[examples]") {
  http_pages own;
  raw_client client = own.client();
  client.send(get("/ok"));
  CHECK(client.receive("ok") == "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
  client.send(post("/echo", "hello"));
  CHECK_THAT(client.receive("hello"), starts_with("HTTP/1.1 200 OK\r\n"));
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n" +
              std::string("5\r\nhello\r\n0\r\nA: b\r\n\r\n"));
  CHECK_THAT(client.receive("hello"), starts_with("HTTP/1.1 200 OK\r\n"));
  // Two at once are answered in their order, though the second could be answered sooner.
  client.send(get("/wait") + get("/ok", last));
  const auto first = own.kept();
  REQUIRE(first);
  CHECK(client.receive("ok", 1s) == "");
  first->answer({.body = "first"});
  const std::string both = client.receive();
  CHECK(answers(both) == 2);
  CHECK_THAT(both, has_text("first") && ends_with("Connection: close\r\nContent-Length: 2\r\n\r\nok"));
  CHECK(client.ended());
  CHECK(own.count(200) == 5);

  CHECK_THAT(own.say(get("/throw", last)), starts_with("HTTP/1.1 500 ") && ends_with("thrown"));
  CHECK_THAT(own.say("HEAD /ok HTTP/1.1\r\nHost: x\r\n" + last + "\r\n"), ends_with("Content-Length: 2\r\n\r\n"));
  CHECK_THAT(own.say(get("http://example.org/ok", last)), ends_with("\r\n\r\nok"));
  CHECK_THAT(own.say(get("/nowhere", last)), starts_with("HTTP/1.1 404 "));
  CHECK_THAT(own.say(post("/ok", "", last)), starts_with("HTTP/1.1 405 ") && has_text("Allow: GET, HEAD, OPTIONS"));
  CHECK_THAT(own.say(get("/ok", last + "Range: bytes=0-0,0-0\r\n")), starts_with("HTTP/1.1 200 ") && ends_with("ok"));
}

TEST_CASE("http_server: a client that breaks off while it is answered is forgotten", "[examples]") {
  http_pages own;
  for (int i = 0; i < 10; ++i) {
    raw_client client = own.client(4096);
    client.send(get("/endless"));
    std::this_thread::sleep_for(100ms);  // by now the server waits until more of it is taken
    client.send(get("/ok"));
    client.break_off();
  }
  CHECK(comes([&] { return own.server().open() == 0; }));
  CHECK(own.count(404) == 0);  // nor is anything answered that was not asked for
}

TEST_CASE("http_server: streams are chunked, but not for HTTP/1.0", "[examples]") {
  http_pages own;
  CHECK(own.say(get("/three", last)) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "7\r\npart 3;\r\n7\r\npart 2;\r\n7\r\npart 1;\r\n0\r\n\r\n");
  CHECK(own.say(get("/three", "Connection: keep-alive\r\n", "1.0")) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\npart 3;part 2;part 1;");
  CHECK_THAT(own.say(get("/refused", last)), starts_with("HTTP/1.1 422 ") && ends_with("not so"));
  CHECK_THAT(own.say(get("/ok", "", "1.0")), has_text("Connection: close"));
  raw_client old = own.client();
  old.send(get("/ok", "Connection: keep-alive\r\n", "1.0"));
  CHECK_THAT(old.receive("ok"), has_text("Connection: keep-alive"));
  old.send(get("/ok", "", "1.0"));
  CHECK_THAT(old.receive(), ends_with("ok"));
}

TEST_CASE("http_server: what is refused leaves nothing to be taken for a request", "[examples]") {
  http_pages own({.limits = {.body = 1000}});
  const std::string hidden = get("/ok");
  for (const std::string& bytes :
       {post("/secret", hidden), post("/ok", hidden), post("/echo", hidden, "Content-Length: 5\r\n"),
        post("/echo", hidden, "Transfer-Encoding: chunked\r\n"), post("/echo", std::string(1001, 'x') + hidden),
        "\r\n\r\n" + hidden, "GET / HTTP/1.1\n\n" + hidden, "GET /ok HTTP/1.1\r\n\r\n" + hidden,
        get("/ok", "Host: y\r\n") + hidden, get("/ok", "Expect: x\r\n") + hidden,
        post("/echo", "", "Transfer-Encoding: identity, chunked\r\n") + hidden,
        "DELETE /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n" + hidden}) {
    CAPTURE(bytes);
    const std::string said = own.say(bytes);
    CHECK(answers(said) == 1);
    CHECK_THAT(said, starts_with("HTTP/1.1 4") && has_text("Connection: close\r\n"));
    CHECK(answers(own.say(get("/ok") + bytes)) == 2);  // also on a connection that has served
  }
  CHECK(answers(own.say("GET /ok HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(hidden.size()) + "\r\n\r\n" +
                        hidden + get("/nowhere", last))) == 2);  // a body is a body
  CHECK(answers(own.say(get("/nowhere") + get("/ok", last))) == 2);
  // A key is asked for before the body, and "100 Continue" is said only if that is good.
  raw_client client = own.client();
  const std::string waits = "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
  client.send("POST /secret HTTP/1.1\r\nHost: x\r\n" + waits);
  CHECK_THAT(client.receive(), starts_with("HTTP/1.1 401 "));
  raw_client other = own.client();
  other.send("POST /echo HTTP/1.1\r\nHost: x\r\n" + waits);
  CHECK(other.receive("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  other.send("hello");
  CHECK_THAT(other.receive("hello"), starts_with("HTTP/1.1 200 "));
  // Who is still sending hears the answer, too.
  CHECK_THAT(own.say(post("/echo", std::string(1 << 22, 'x'))), starts_with("HTTP/1.1 413 "));
  CHECK_THAT(own.say(post("/echo", "x", "Expect: a pony\r\n")), starts_with("HTTP/1.1 417 "));
}

TEST_CASE("http_server: OPTIONS, and pages of other origins", "[examples]") {
  const std::string preflight =
      "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
      "Access-Control-Request-Headers: authorization,x-b\r\nConnection: close\r\n\r\n";
  const std::string from = "Origin: https://a.example\r\n" + last, other = "Origin: https://b.example\r\n" + last;
  {
    http_pages own({}, {"https://a.example", "http://c.example:80"});
    CHECK_THAT(own.say(preflight), starts_with("HTTP/1.1 204 ") && has_text("Allow: POST, OPTIONS\r\n") &&
                                       has_text("Access-Control-Allow-Origin: https://a.example\r\n") &&
                                       has_text("Access-Control-Allow-Methods: GET, HEAD, POST\r\n") &&
                                       has_text("Access-Control-Allow-Headers: authorization,x-b\r\n") &&
                                       has_text("Vary: Origin\r\n"));
    CHECK_THAT(own.say(get("/ok", from)), has_text("Access-Control-Allow-Origin: https://a.example\r\n"));
    CHECK_THAT(own.say(post("/secret", "x", from)),
               starts_with("HTTP/1.1 401 ") && has_text("Access-Control-Allow-Origin: https://a.example\r\n"));
    CHECK_THAT(own.say(get("/ok", other)), has_text("Vary: Origin") && !has_text("Access-Control-Allow-Origin"));
  }
  {
    http_pages own({}, {"*"});
    for (const std::string& bytes : {get("/three", other), get("/nowhere", other), get(std::string(9000, '/'), other)})
      CHECK_THAT(own.say(bytes), has_text("Access-Control-Allow-Origin: *\r\n") && !has_text("Vary"));
  }
  http_pages own;
  CHECK_THAT(own.say(preflight), starts_with("HTTP/1.1 204 ") && !has_text("Access-Control"));
  CHECK_THAT(own.say("OPTIONS * HTTP/1.1\r\nHost: x\r\n" + last + "\r\n"), starts_with("HTTP/1.1 204 "));
  CHECK_THAT(own.say("OPTIONS /nowhere HTTP/1.1\r\nHost: x\r\n" + last + "\r\n"), starts_with("HTTP/1.1 204 "));
  for (const char* wrong : {"example.org", "https://", "https://a/b", "https://a,https://b", ""})
    CHECK_THROWS_AS(http_origins({wrong}), iapt::error);
}

TEST_CASE("http_server: a client that leaves is noticed", "[examples]") {
  http_pages own;
  raw_client client = own.client();
  client.send(get("/wait"));
  const auto waiting = own.kept();
  REQUIRE(waiting);
  CHECK(waiting->is_open());
  client.leave();
  CHECK(comes([&] { return !waiting->is_open(); }));
  waiting->answer({.status = 499});
  CHECK(comes([&] { return own.count(499) == 1; }));
  // One that sends no more may still have an answer.
  raw_client half = own.client();
  half.send(get("/ok") + get("/ok"));
  half.half_close();
  CHECK(answers(half.receive()) == 2);
  CHECK(half.ended());
}

TEST_CASE("http_server: time and connections have bounds", "[examples]") {
  http_server_options options{.connections = 3, .requests = 3, .silence = 1s, .arriving = 3s, .answering = 4s};
  http_pages own(options);
  const auto lasts = [](raw_client& client) {
    const auto begin = std::chrono::steady_clock::now();
    client.receive();
    CHECK(client.ended());
    return std::chrono::steady_clock::now() - begin;
  };
  raw_client silent = own.client(), half = own.client();
  half.send("GET /ok HTT");
  CHECK(lasts(silent) < 3s);
  CHECK(lasts(half) < 3s);
  raw_client slow = own.client();
  std::jthread drops([&] {
    while (slow.send("G")) std::this_thread::sleep_for(300ms);
  });
  const auto time = lasts(slow);
  CHECK(time > 2s);
  CHECK(time < 6s);
  drops.join();
  raw_client waits = own.client();
  waits.send(get("/wait"));
  CHECK(lasts(waits) < 8s);
  CHECK(answers(own.say(get("/ok") + get("/ok") + get("/ok") + get("/ok"))) == 3);

  // The fourth connection waits until another one ends.
  std::vector<raw_client> held;
  for (int i = 0; i < 3; ++i) held.push_back(own.client());
  for (const raw_client& one : held) one.send(get("/wait"));
  CHECK(comes([&] { return own.kept() != nullptr; }));
  raw_client fourth = own.client();
  fourth.send(get("/ok"));
  CHECK(fourth.receive("ok", 1s) == "");
  held.pop_back();
  CHECK_THAT(fourth.receive("ok"), ends_with("ok"));
}

TEST_CASE("http_server: who does not read a stream holds neither memory nor others", "[examples]") {
  http_pages own({.silence = 2s});
  raw_client deaf = own.client(4096);
  deaf.send(get("/endless"));
  REQUIRE(comes([&] { return own.parts > 0; }));
  std::this_thread::sleep_for(500ms);
  const int taken = own.parts;
  CHECK_THAT(own.say(get("/ok", last)), ends_with("ok"));
  CHECK(own.parts == taken);
  CHECK(taken < 200);  // what the system keeps of it
  CHECK(comes([&] { return own.server().open() == 0; }));
}

TEST_CASE("http_server: its end", "[examples]") {
  http_pages own;
  raw_client idle = own.client(), fresh = own.client(), busy = own.client(), stuck = own.client();
  idle.send(get("/ok"));
  CHECK_THAT(idle.receive("ok"), ends_with("ok"));
  busy.send(get("/wait"));
  const auto first = own.kept();
  REQUIRE(first);
  stuck.send(get("/wait"));
  const auto second = own.kept();
  REQUIRE(second);
  own.server().drain();
  CHECK(idle.receive() == "");
  CHECK(idle.ended());
  CHECK(own.server().open() == 2);
  CHECK_NOTHROW(http_server("127.0.0.1", own.server().port(), {}, {}));  // another one may listen where it did
  fresh.send(get("/ok"));
  CHECK_THAT(fresh.receive(), has_text("Connection: close"));
  first->answer({.body = "late"});
  CHECK_THAT(busy.receive(), has_text("Connection: close") && ends_with("late"));
  CHECK(comes([&] { return own.server().open() == 1; }));
  own.server().stop();
  CHECK_FALSE(second->is_open());
  second->answer({});  // which nobody hears
  CHECK(stuck.receive() == "");
  CHECK(own.count(499) == 1);
  // Who waits to be accepted may have asked already.
  http_pages full({.connections = 1});
  raw_client holds = full.client(), late = full.client();
  holds.send(get("/wait")), late.send(get("/ok"));
  REQUIRE(full.kept());
  full.server().drain();
  CHECK_THAT(late.receive(), has_text("Connection: close") && ends_with("ok"));
  CHECK_THROWS_AS(http_server("no such host.", 0, {}, {}), iapt::io_error);
  CHECK_THROWS_AS(http_server("127.0.0.1", http_pages().server().port(), {.connections = 1 << 30}, {}), iapt::io_error);
  http_pages other;
  CHECK_THROWS_AS(http_server("127.0.0.1", other.server().port(), {}, {}), iapt::io_error);
}

}  // namespace iapt::test::examples_support_http_server
