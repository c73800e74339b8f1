// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// What a client is told of a failure, and what is for the log alone.
#include "examples/support/openai_http.hpp"

#include "support/catch.hpp"

namespace iapt::test::examples_support_openai_http {

TEST_CASE("openai_http: a failure of the server's own is not told to clients", "[examples]") {
  const auto answer = [](const auto& thrown) { return program::refuse(std::make_exception_ptr(thrown)); };
  const auto inner = answer(io_error("/srv/models/secret: permission denied"));
  CHECK(inner.status == 500);
  CHECK_THAT(inner.body, has_text("its log says why") && !has_text("secret"));
  CHECK_THAT(answer(openai_error(422, "not so")).body, has_text("not so"));
  CHECK_THAT(answer(program::http_error(415, "must be JSON")).body, has_text("must be JSON"));
  CHECK(answer(openai_error(401, "a key")).fields.value("WWW-Authenticate") == "Bearer");
  CHECK(answer(openai_error(429, "later")).fields.value("Retry-After") == "1");
  CHECK(answer(program::http_error(405, "use GET", "GET")).fields.value("Allow") == "GET");
}

}  // namespace iapt::test::examples_support_openai_http
