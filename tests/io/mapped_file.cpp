// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/mapped_file.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "iapt/core/error.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_mapped_file {

TEST_CASE("a file in memory shows the bytes, and moves", "[io]") {
  const temporary_folder folder;
  for (const file_bytes how : {file_bytes::mapped, file_bytes::copied}) {
    mapped_file file(folder.write("a", "hello"), how);
    REQUIRE(file.bytes().size() == 5);
    CHECK(std::memcmp(file.bytes().data(), "hello", 5) == 0);
    mapped_file moved(std::move(file));
    CHECK(moved.bytes().size() == 5);
    moved = mapped_file(folder.write("b", "other!"), how);
    CHECK(moved.bytes().size() == 6);
    CHECK(moved.path() == (folder.path() / "b").string());
  }
}

TEST_CASE("a copied file may be rewritten meanwhile", "[io]") {
  const temporary_folder folder;
  const std::string text(1 << 20, 'x');
  const auto path = folder.write("a", text);
  const mapped_file file(path, file_bytes::copied);
  folder.write("a", "short");
  CHECK(std::count(file.bytes().begin(), file.bytes().end(), std::byte('x')) == 1 << 20);
}

TEST_CASE("what cannot be mapped is refused with path and reason", "[io]") {
  const temporary_folder folder;
  const auto message = [](const std::filesystem::path& path) {
    const std::string copied = io_message([&] { mapped_file file(path, file_bytes::copied); });
    CHECK(copied == io_message([&] { mapped_file file(path); }));
    return copied;
  };
  CHECK_THAT(message(folder.path() / "none"), has_text("none: cannot open: No such file"));
  CHECK_THAT(message(folder.path()), has_text("is a folder"));
  CHECK_THAT(message(folder.write("empty", "")), has_text("empty: byte 0: the file is empty"));
  REQUIRE(::mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
  CHECK_THAT(message(folder.path() / "pipe"), has_text("pipe: is not a regular file"));
}

}  // namespace iapt::test::io_mapped_file
