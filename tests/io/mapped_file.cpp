// SPDX-License-Identifier: Apache-2.0
#include "iapt/io/mapped_file.hpp"

#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "iapt/core/error.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

using namespace iapt;
using namespace iapt::test;
using iapt::test::has_text;

TEST_CASE("a mapped file shows the bytes, and moves", "[io]") {
  const temporary_folder folder;
  mapped_file file(folder.write("a", "hello"));
  REQUIRE(file.bytes().size() == 5);
  CHECK(std::memcmp(file.bytes().data(), "hello", 5) == 0);
  mapped_file moved(std::move(file));
  CHECK(moved.bytes().size() == 5);
  moved = mapped_file(folder.write("b", "other!"));
  CHECK(moved.bytes().size() == 6);
  CHECK(moved.path() == (folder.path() / "b").string());
}

TEST_CASE("what cannot be mapped is refused with path and reason", "[io]") {
  const temporary_folder folder;
  const auto message = [](const std::filesystem::path& path) { return io_message([&] { mapped_file file(path); }); };
  CHECK_THAT(message(folder.path() / "none"), has_text("none: cannot open: No such file"));
  CHECK_THAT(message(folder.path()), has_text("is a folder"));
  CHECK_THAT(message(folder.write("empty", "")), has_text("empty: byte 0: the file is empty"));
  REQUIRE(::mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
  CHECK_THAT(message(folder.path() / "pipe"), has_text("pipe: is not a regular file"));
}
