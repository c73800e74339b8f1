// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/failure.hpp"

#include <string>

#include "support/catch.hpp"
#include "support/io_errors.hpp"

namespace iapt::test::io_failure {

TEST_CASE("texts of files are made fit for a terminal", "[io]") {
  CHECK(in_quotes("a\x1b[2J\n\x7f") == "\"a?[2J??\"");
  CHECK(in_quotes(std::string(500, 'x')).size() == 125);
}

TEST_CASE("messages of broken files and of refused calls", "[io]") {
  CHECK(io_message([] { refuse_file("f", 24, "no"); }) == "f: byte 24: no");
  CHECK(io_message([] { refuse_call("f", "open", ENOENT); }) == "f: cannot open: No such file or directory");
}

}  // namespace iapt::test::io_failure
