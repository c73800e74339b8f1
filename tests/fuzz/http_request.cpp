// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the server's parser: any bytes are a request or refused, and the same one however they come.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "support/read_http.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt::test;
  if (size > 4096) return 0;  // what is longer than a head may be refused sooner or later
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const program::http_limits limits{.target = 64, .head = 4096, .body = 256};
  const http_reading whole = read_http(bytes, std::string::npos, limits), drops = read_http(bytes, 1, limits);
  if ((whole.status == 200) != (drops.status == 200)) std::abort();
  if (whole.status != 200) return 0;
  const auto& request = whole.request;
  if (request.body != drops.request.body || request.path != drops.request.path || whole.rest != drops.rest)
    std::abort();
  if (request.body.size() > limits.body || request.path.empty() || request.method.empty()) std::abort();
  // Nobody could read another length or host.
  const auto& fields = request.fields;
  if (fields.count("Content-Length") + fields.count("Transfer-Encoding") > 1 || fields.count("Host") > 1) std::abort();
  if (request.has_body != !request.body.empty() && fields.count("Transfer-Encoding") == 0) std::abort();
  return 0;
}
