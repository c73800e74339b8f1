// SPDX-License-Identifier: Apache-2.0
// HTTP requests and answers, independent of the HTTP library.
#pragma once
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace program {

/// A request that is rejected by HTTP itself: it cannot be parsed, or its path or method is not served.
struct http_error : std::runtime_error {
  int status;         ///< HTTP status
  std::string allow;  ///< methods that are served at the path, if the method is wrong

  /// @param message for the client
  http_error(int status, const std::string& message, std::string allow = "")
      : std::runtime_error(message), status(status), allow(std::move(allow)) {}
};

/// Whether two names are equal except for the case of ASCII letters.
inline bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + ('a' - 'A')) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

/// Header fields, in their order.
class http_fields {
 public:
  /// Appends a field.
  void add(std::string name, std::string value) { all_.emplace_back(std::move(name), std::move(value)); }
  /// The first field with a name, or null. Case does not matter.
  const std::string* find(std::string_view name) const {
    const auto found =
        std::find_if(all_.begin(), all_.end(), [&](const auto& one) { return same_name(one.first, name); });
    return found == all_.end() ? nullptr : &found->second;
  }
  /// The value of the first field with a name, or an empty text.
  std::string_view value(std::string_view name) const {
    const std::string* found = find(name);
    return found ? std::string_view(*found) : std::string_view();
  }
  /// Number of fields with a name.
  std::size_t count(std::string_view name) const {
    return std::size_t(
        std::count_if(all_.begin(), all_.end(), [&](const auto& one) { return same_name(one.first, name); }));
  }
  /// All fields, as pairs of name and value.
  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

/// An HTTP request.
struct http_request {
  std::string method;      ///< as it was received
  std::string path;        ///< without the query, decoded; "*" for an OPTIONS request to the whole server
  http_fields fields;      ///< of the head
  std::string body;        ///< when it has been read
  bool old = false;        ///< whether it uses HTTP/1.0
  bool keep_alive = true;  ///< whether the client may send another request on the same connection
  bool has_body = false;   ///< whether a body, which may be empty, follows the head
  bool waits = false;      ///< whether the client waits for "100 Continue" before it sends the body
};

/// A complete answer.
struct http_answer {
  int status = 200;                       ///< HTTP status
  std::string type = "application/json";  ///< content type
  std::string body = {};                  ///< may be empty
  http_fields fields = {};                ///< besides type, length and the connection's own
};

/// A part of a streamed answer.
struct http_part {
  std::string text;   ///< empty if there is nothing new
  bool last = false;  ///< whether it is the last part
};

/// Maximum sizes of a request, in bytes.
struct http_limits {
  std::size_t target = 8000;    ///< the target
  std::size_t head = 16 << 10;  ///< the first line and the fields; the trailers
  std::size_t body = 1 << 20;   ///< the body, without the framing of chunks
};

/// The path of a request's target, which is `/path?query`, `http://host/path?query`, or "*".
/// @throws http_error if it is none of these, if a `%` is not followed by two hexadecimal digits, or for %2F: it stands
/// for a slash in a name, and no name here has a slash
/// @par Source RFC 9112, section 3.2
inline std::string path_of_target(std::string_view target) {
  if (target == "*") return "*";
  for (const std::string_view scheme : {"http://", "https://"})
    if (same_name(target.substr(0, scheme.size()), scheme)) {
      const std::size_t path = target.find_first_of("/?", scheme.size());
      target = path == target.npos ? std::string_view() : target.substr(path);
      if (target.empty() || target[0] == '?') return "/";
      break;
    }
  if (!target.starts_with('/') || target.find('#') != target.npos)
    throw http_error(400, "the request's target must be a path, such as /v1/models");
  std::string path;
  for (std::size_t i = 0; i < target.size() && target[i] != '?'; ++i) {
    const auto digit = [&](std::size_t at) {
      const char c = at < target.size() ? target[at] : ' ';
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      throw http_error(400, "in the request's target a % must be followed by two hexadecimal digits");
    };
    if (target[i] != '%') {
      path += target[i];
      continue;
    }
    const char c = char(digit(i + 1) * 16 + digit(i + 2));
    if (c == '/') throw http_error(400, "in the request's target %2F stands for a slash in a name; no name has one");
    path += c;
    i += 2;
  }
  return path;
}

}  // namespace program
