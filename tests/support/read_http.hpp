// SPDX-License-Identifier: Apache-2.0
// A request of HTTP from bytes that come in pieces, without a socket.
#pragma once
#include <algorithm>
#include <string>

#include "examples/support/http_parser.hpp"

namespace iapt::test {

/// What became of some bytes.
struct http_reading {
  int status = 0;                   ///< of a refusal; 200: all of a request was read; 0: something is missing
  program::http_request request{};  ///< what was read
  std::string rest{};               ///< of the bytes
};

/// Reads bytes that come so many at a time, as a connection of the server does.
inline http_reading read_http(const std::string& bytes, std::size_t step = std::string::npos,
                              const program::http_limits& limits = {}) {
  program::http_parser parser(limits);
  std::string arrived;
  std::size_t at = 0;
  try {
    while (at < bytes.size() && !parser.has_all()) {
      const std::size_t size = std::min(step, bytes.size() - at);
      arrived.append(bytes, at, size);
      at += size;
      while (const std::size_t used = parser.put(arrived)) arrived.erase(0, used);
    }
  } catch (const program::http_error& refusal) { return {refusal.status}; }
  return {parser.has_all() ? 200 : 0, parser.request(), arrived + bytes.substr(at)};
}

}  // namespace iapt::test
