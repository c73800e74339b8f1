// SPDX-License-Identifier: Apache-2.0
// Parses requests of HTTP/1.1 and 1.0 with Boost.Beast, within limits. A request that two parsers could read
// differently is rejected, so that no request can hide in another one behind a proxy.
#pragma once
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "http_message.hpp"

namespace program {

/// The parser of one request. It has no socket: bytes are passed to it as they arrive.
class http_parser : private boost::beast::http::basic_parser<true> {
 public:
  /// @param limits maximum sizes
  explicit http_parser(const http_limits& limits) : limits_(limits) {
    eager(true);
    header_limit(std::uint32_t(limits.head));
    body_limit(limits.body);
  }

  /// Parses the beginning of `bytes` and returns the number of bytes that it has used. The other bytes must be passed
  /// again, with later ones appended. It stops after the head, and after the body.
  /// @throws http_error if the bytes are not a valid request, or too many
  std::size_t put(std::string_view bytes) {
    if (is_done() || bytes.empty()) return 0;
    if (at_ == 0 && !empty_line_ && bytes[0] == '\r') {  // one empty line may come first (RFC 9112, section 2.2)
      if (bytes.size() == 1) return 0;
      if (bytes[1] == '\n') return empty_line_ = true, 2;
    }
    if (!is_header_done()) return head_ends(bytes) ? parse(bytes.substr(0, at_), false) : 0;
    // At least "0 CR LF CR LF" of a chunked body must follow, and Beast asserts that it gets as much at once.
    if (chunked() && bytes.size() < 5) return 0;
    const std::size_t used = parse(bytes, true);
    if (!is_done() && bytes.size() - used > limits_.head)
      throw http_error(431, "what frames a chunk, or follows the last one, is longer than " +
                                std::to_string(limits_.head) + " bytes");
    // A client could send chunks of one byte with long extensions.
    if ((taken_ += used) > 2 * limits_.body + (64 << 10))
      throw http_error(413, "the body is sent in chunks that are too small");
    return used;
  }
  /// Whether the head is complete.
  bool has_head() const { return is_header_done(); }
  /// Whether the request is complete.
  bool has_all() const { return is_done(); }
  /// Whether any byte of the head has arrived.
  bool begun() const { return at_ > 0; }
  /// The request as parsed so far.
  http_request& request() { return request_; }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;
  static std::string text(string_view from) { return {from.data(), from.size()}; }
  // Whether a byte is not allowed in a field: all below the space except the tabulator, and DEL.
  static bool is_control(char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7F'; }

  std::size_t parse(std::string_view bytes, bool may_miss) {
    using boost::beast::http::error;
    error_code failure;
    const std::size_t used = basic_parser::put(boost::asio::const_buffer(bytes.data(), bytes.size()), failure);
    if (!failure || (may_miss && failure == error::need_more)) return used;
    if (failure == error::body_limit)
      throw http_error(413, "the body is larger than " + std::to_string(limits_.body) + " bytes");
    throw http_error(400, failure == error::need_more ? "the first line must be METHOD TARGET HTTP/1.1"
                                                      : "the request cannot be read: " + failure.message());
  }
  // Looks for the end of the head. It rejects folded lines, which Beast accepts. It rejects at once what Beast rejects
  // later: lines that end with LF only, and control characters.
  bool head_ends(std::string_view bytes) {
    for (; at_ < bytes.size(); ++at_) {
      const char c = bytes[at_], before = at_ ? bytes[at_ - 1] : ' ';
      if ((c == '\n') != (before == '\r')) throw http_error(400, "lines of the head must end with CR LF");
      if (before == '\n' && (c == ' ' || c == '\t'))
        throw http_error(400, "a line of the head begins with a space: folded fields are not taken");
      if (is_control(c) && c != '\r' && c != '\n') throw http_error(400, "the head has a control character");
      if (c == '\n' && !line_) line_ = at_ + 1;
      if (!line_ && at_ > limits_.target + 64)
        throw http_error(414, "the request's target is longer than " + std::to_string(limits_.target) + " bytes");
      if (at_ >= limits_.head)
        throw http_error(431, "the head is longer than " + std::to_string(limits_.head) + " bytes");
      if (c == '\n' && at_ >= 3 && bytes.substr(at_ - 3, 4) == "\r\n\r\n") return ++at_, true;
    }
    return false;
  }

  void on_request_impl(boost::beast::http::verb, string_view method, string_view target, int version,
                       error_code&) override {
    if (target.size() > limits_.target)
      throw http_error(414, "the request's target is longer than " + std::to_string(limits_.target) + " bytes");
    request_.method = text(method), request_.old = version < 11;
    request_.path = path_of_target({target.data(), target.size()});
    if (request_.path == "*" && request_.method != "OPTIONS")
      throw http_error(400, "the target * is for OPTIONS alone");
  }
  void on_field_impl(boost::beast::http::field, string_view name, string_view value, error_code&) override {
    if (!is_header_done()) request_.fields.add(text(name), text(value));  // else it is a trailer, which is ignored
  }
  void on_header_impl(error_code&) override {
    check_host();
    check_framing();
    request_.keep_alive = keep_alive();
    const std::string_view expected = request_.fields.value("Expect");
    if (!expected.empty() && !same_name(expected, "100-continue"))
      throw http_error(417, "of Expect only 100-continue is known");
    request_.waits = !expected.empty() && !request_.old && request_.has_body;
  }
  void check_host() const {
    const std::size_t hosts = request_.fields.count("Host");
    if (hosts > 1 || (hosts == 0 && !request_.old)) throw http_error(400, "one field Host is needed");
    for (const char c : request_.fields.value("Host"))
      if (std::string_view(" \t,/\\@?#\"<>{}|^`").find(c) != std::string_view::npos || c & '\x80')
        throw http_error(400, "the field Host must be a host's name or address, perhaps with a port");
  }
  // Beast accepts a repeated or listed length, and unknown encodings before "chunked" or without it.
  void check_framing() {
    const auto& fields = request_.fields;
    const std::size_t lengths = fields.count("Content-Length"), encodings = fields.count("Transfer-Encoding");
    if (lengths + encodings > 1) throw http_error(400, "Content-Length or Transfer-Encoding may be given, and once");
    if (lengths == 1 && fields.value("Content-Length").find_first_not_of("0123456789") != std::string_view::npos)
      throw http_error(400, "Content-Length must be a number");
    if (encodings == 1 && (request_.old || !same_name(fields.value("Transfer-Encoding"), "chunked")))
      throw http_error(400, "of transfer encodings only chunked is known, and from HTTP/1.1 on");
    request_.has_body = encodings == 1 || (lengths == 1 && content_length().value_or(0) > 0);
  }
  void on_chunk_header_impl(std::uint64_t, string_view extensions, error_code&) override {
    for (const char c : extensions)
      if (is_control(c)) throw http_error(400, "a chunk's line has a control character");
  }
  std::size_t on_body_impl(string_view part, error_code&) override {
    request_.body.append(part.data(), part.size());
    return part.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view part, error_code& failure) override {
    return on_body_impl(part, failure);
  }
  void on_response_impl(int, string_view, int, error_code&) override {}  // not called for requests
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  http_limits limits_;
  std::size_t at_ = 0;       // number of bytes of the head that were checked
  std::size_t line_ = 0;     // end of the first line
  bool empty_line_ = false;  // whether an empty line came before the head
  std::size_t taken_ = 0;    // bytes of the body, including its framing
  http_request request_;
};

}  // namespace program
