// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// Requests from bytes: what is read, and what is refused, however the bytes come.
#include "examples/support/http_parser.hpp"

#include "support/catch.hpp"
#include "support/read_http.hpp"

namespace iapt::test::examples_support_http_parser {

using program::http_limits;

std::string with(const std::string& fields, const std::string& body = "", const std::string& version = "1.1") {
  return "POST /a HTTP/" + version + "\r\nHost: x\r\n" + fields + "\r\n" + body;
}
std::string chunked(const std::string& body) { return with("Transfer-Encoding: chunked\r\n", body); }

TEST_CASE("http_parser: requests are read, however their bytes come", "[examples]") {
  const std::string get = "GET /v1/models/a%20b?x=%zz HTTP/1.1\r\nHost: x:80\r\nX: \t1 2 \r\n\r\n";
  for (const std::size_t step : {std::string::npos, std::size_t(1), std::size_t(7)}) {
    CAPTURE(step);
    const http_reading one = read_http(get, step);
    CHECK(one.status == 200);
    CHECK(one.request.method == "GET");
    CHECK(one.request.path == "/v1/models/a b");
    CHECK(one.request.fields.value("x") == "1 2");
    CHECK(one.request.keep_alive);
    CHECK_FALSE(one.request.has_body);
    CHECK(read_http(with("content-length: 5\r\n", "hello"), step).request.body == "hello");
    CHECK(read_http(chunked("2\r\nhe\r\n03;a=\"b c\";d\r\nllo\r\n0\r\nA: b\r\n\r\n"), step).request.body == "hello");
    CHECK(read_http(with("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n"), step).status == 200);
    CHECK(read_http("\r\n" + get, step).request.path == one.request.path);  // behind the body of the one before
    CHECK(read_http(with("Content-Length: 5\r\n", "hell"), step).status == 0);
    CHECK(read_http(get.substr(0, get.size() - 1), step).status == 0);
  }
  const http_reading two = read_http(get + get);
  CHECK(two.status == 200);
  CHECK(two.rest == get);
  CHECK(read_http(with("Content-Length: 0\r\n", "rest")).rest == "rest");
  CHECK_FALSE(read_http(with("Connection: close\r\n")).request.keep_alive);
  CHECK_FALSE(read_http("GET / HTTP/1.0\r\n\r\n").request.keep_alive);
  CHECK(read_http("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").request.keep_alive);
  CHECK(read_http(with("Expect: 100-continue\r\nContent-Length: 1\r\n")).request.waits);
}

TEST_CASE("http_parser: a target is a path, with or without its host", "[examples]") {
  const auto path = [](const std::string& target, const std::string& method = "GET") {
    const http_reading one = read_http(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return one.status == 200 ? one.request.path : std::to_string(one.status);
  };
  CHECK(path("http://example.org/healthz") == "/healthz");
  CHECK(path("HTTPS://example.org:80?x") == "/");
  CHECK(path("http://example.org") == "/");
  CHECK(path("*", "OPTIONS") == "*");
  CHECK(path("/%41/%c3%A9") == "/A/\xC3\xA9");
  CHECK(path("/v1%2fmodels") == "400");  // a proxy may see one name where this would see two
  CHECK(path("/a%252Fb") == "/a%2Fb");
  for (const char* target : {"*", "healthz", "example.org:80", "/a#b", "/%", "/%4", "/%4g", "ftp://x/", ""})
    CHECK(path(target) == "400");
}

TEST_CASE("http_parser: what two readers could read differently is refused", "[examples]") {
  const std::vector<std::string> refused = {
      with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
      with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
      with("Content-Length: 5, 5\r\n", "hello"),
      with("Content-Length: +5\r\n", "hello"),
      with("Content-Length: -5\r\n", "hello"),
      with("Content-Length: 0x5\r\n", "hello"),
      with("Content-Length: 5 5\r\n", "hello"),
      with("Content-Length:\r\n", "hello"),
      with("Content-Length: 99999999999999999999999\r\n", "hello"),
      with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", "hello"),
      with("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: gzip\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding:\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
      with("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "1.0"),
      with("A: b\r\n c\r\n"),
      with("A:\r\n\tb\r\n"),
      with("Content-Length: 5\r\n 0\r\n", "hello"),
      with(" A: b\r\n"),
      with("Content-Length : 5\r\n", "hello"),
      with("A b: c\r\n"),
      with(": c\r\n"),
      with("A\r\n"),
      with("A: b\nC: d\r\n"),
      with("A: b\rC: d\r\n"),
      with("A: b\r\r\n"),
      with(std::string("A: b\0c\r\n", 8)),
      with("A: \x01\r\n"),
      with("A: \x7F\r\n"),
      with("Host: x\r\n"),
      with("Expect: 100-continue\r\nHost: y\r\n"),
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
      "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "\rGET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "\r\n GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
      "GET / http/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET / HTTP/0.9\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.10\r\nHost: x\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / H\r\n\r\nTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\nHost: x\n\n",
      "\x16\x03\x01\x02",
      chunked("-1\r\nx\r\n0\r\n\r\n"),
      chunked("+1\r\nx\r\n0\r\n\r\n"),
      chunked("0x1\r\nx\r\n0\r\n\r\n"),
      chunked(" 1\r\nx\r\n0\r\n\r\n"),
      chunked("1 \r\nx\r\n0\r\n\r\n"),
      chunked("1g\r\nx\r\n0\r\n\r\n"),
      chunked("\r\nx\r\n0\r\n\r\n"),
      chunked("10000000000000001\r\nx\r\n0\r\n\r\n"),
      chunked("1;\r\nx\r\n0\r\n\r\n"),
      chunked("1;a=\r\nx\r\n0\r\n\r\n"),
      chunked("1;a=\"\n\"\r\nx\r\n0\r\n\r\n"),
      chunked("1;a=\x7F\r\nx\r\n0\r\n\r\n"),
      chunked("1;a\nx\r\n0\r\n\r\n"),
      chunked("1,\r\nx\r\n0\r\n\r\n"),
      chunked("1\nx\r\n0\r\n\r\n"),
      chunked("1\r\nxy\r\n0\r\n\r\n"),
      chunked("1\r\nx\n0\r\n\r\n"),
      chunked("1\r\nx0\r\n\r\n"),
      chunked("0\r\nA : b\r\n\r\n"),
      chunked("0\r\nContent-Length: 5\r\n\r\n"),
      chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
  };
  for (const std::string& bytes : refused) {
    CAPTURE(bytes);
    CHECK(read_http(bytes).status == 400);
    CHECK(read_http(bytes, 1).status == 400);
  }
}

TEST_CASE("http_parser: everything has a bound", "[examples]") {
  const http_limits limits{.target = 100, .head = 1000, .body = 500};
  const auto status = [&](const std::string& bytes) {
    const int one = read_http(bytes, std::string::npos, limits).status;
    CHECK(read_http(bytes, 1, limits).status == one);
    return one;
  };
  const std::string host = " HTTP/1.1\r\nHost: x\r\n\r\n";
  CHECK(status("GET /" + std::string(99, 'a') + host) == 200);
  CHECK(status("GET /" + std::string(100, 'a') + host) == 414);
  CHECK(status("GET /" + std::string(5000, 'a')) == 414);
  CHECK(status(with("A: " + std::string(900, 'a') + "\r\n")) == 200);
  CHECK(status(with("A: " + std::string(1000, 'a') + "\r\n")) == 431);
  CHECK(status("POST /a HTTP/1.1\r\nA: " + std::string(5000, 'a')) == 431);
  CHECK(status(with("Content-Length: 500\r\n", std::string(500, 'a'))) == 200);
  CHECK(status(with("Content-Length: 501\r\n")) == 413);
  CHECK(status(chunked("1f4\r\n" + std::string(500, 'a') + "\r\n0\r\n\r\n")) == 200);
  CHECK(status(chunked("1f5\r\n")) == 413);
  CHECK(status(chunked("1f4\r\n" + std::string(500, 'a') + "\r\n1\r\n")) == 413);
  CHECK(status(chunked("0\r\nA: " + std::string(900, 'a') + "\r\n\r\n")) == 200);
  CHECK(status(chunked("0\r\nA: " + std::string(2000, 'a'))) == 431);
  CHECK(status(chunked("1;a=" + std::string(2000, 'a'))) == 431);
  std::string small;
  for (int i = 0; i < 500; ++i) small += "1;a=" + std::string(200, 'b') + "\r\nx\r\n";
  CHECK(status(chunked(small)) == 413);
  CHECK(read_http("GET /" + std::string(7999, 'a') + host).status == 200);
  CHECK(read_http("GET /" + std::string(8000, 'a') + host).status == 414);
}

}  // namespace iapt::test::examples_support_http_parser
