// SPDX-License-Identifier: Apache-2.0
// The paths of a server, and the origins whose pages may read its answers.
#pragma once
#include <functional>
#include <iapt/core/error.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http_server.hpp"

namespace program {

/// Paths with their methods and handlers.
class http_routes {
 public:
  using handler = std::function<void(const std::shared_ptr<http_exchange>&)>;  ///< handles a request

  /// A path and its handler.
  struct route {
    std::string method;  ///< GET, which includes HEAD, or POST
    std::string path;    ///< "/a": only this path; "/a/": also the paths below it
    bool open;           ///< whether no key is needed
    handler handle;      ///< answers a request
  };

  /// Adds a path.
  void add(route one) { all_.push_back(std::move(one)); }
  /// The route of a request; null for OPTIONS, whose answer is `options`.
  /// @throws http_error if there is no such path, or it has another method
  const route* find(const http_request& from) const {
    if (from.method == "OPTIONS") return nullptr;
    for (const route& one : all_) {
      const bool below = one.path.ends_with('/') && from.path.size() > one.path.size();
      if (!(from.path == one.path || (below && from.path.starts_with(one.path)))) continue;
      if (from.method == one.method || (from.method == "HEAD" && one.method == "GET")) return &one;
      throw http_error(405, "use " + one.method + " here", allowed(one));
    }
    throw http_error(404, "there is no such page");
  }
  /// The answer to OPTIONS, also for a path that does not exist: a browser sends OPTIONS first, and only then shows a
  /// page's script the status 404.
  http_answer options(const http_request& from) const {
    http_answer answer{.status = 204};
    std::string methods = "GET, HEAD, POST, OPTIONS";
    for (const route& one : all_)
      if (from.path == one.path || (one.path.ends_with('/') && from.path.starts_with(one.path))) methods = allowed(one);
    answer.fields.add("Allow", methods);
    return answer;
  }

 private:
  static std::string allowed(const route& one) {
    return one.method == "GET" ? "GET, HEAD, OPTIONS" : one.method + ", OPTIONS";
  }

  std::vector<route> all_;
};

/// Origins whose pages may read answers in a browser.
/// @par Source Fetch standard, section 3.2, "CORS protocol"
class http_origins {
 public:
  /// @param allowed origins such as https://example.org; "*": all
  /// @throws iapt::error if one is not an origin
  explicit http_origins(std::vector<std::string> allowed) : allowed_(std::move(allowed)) {
    for (const std::string& one : allowed_) {
      const std::size_t host = one.find("://");
      const bool is_origin = host != std::string::npos && host > 0 && host + 3 < one.size() &&
                             one.find_first_of("/ ,?#", host + 3) == std::string::npos;
      if (one == "*") any_ = true;
      if (one != "*" && one != "null" && !is_origin)
        throw iapt::error(one + ": must be * or SCHEME://HOST[:PORT], without a path");
    }
  }
  /// The CORS fields of an answer.
  http_fields fields(const http_request& from) const {
    http_fields found;
    if (allowed_.empty()) return found;
    if (!any_) found.add("Vary", "Origin");
    const std::string* origin = from.fields.find("Origin");
    const bool known = origin && std::find(allowed_.begin(), allowed_.end(), *origin) != allowed_.end();
    if (!any_ && !known) return found;
    found.add("Access-Control-Allow-Origin", any_ ? "*" : *origin);
    if (from.method != "OPTIONS") {
      found.add("Access-Control-Expose-Headers", "Retry-After");
      return found;
    }
    found.add("Access-Control-Allow-Methods", "GET, HEAD, POST");
    const std::string* wanted = from.fields.find("Access-Control-Request-Headers");
    found.add("Access-Control-Allow-Headers", wanted ? *wanted : "Authorization, Content-Type");
    found.add("Access-Control-Max-Age", "600");
    return found;
  }

 private:
  std::vector<std::string> allowed_;
  bool any_ = false;
};

}  // namespace program
