// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/atomic_file.hpp"

#include <iterator>

#include "iapt/core/error.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_atomic_file {
namespace {
auto file_count(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}
}  // namespace

TEST_CASE("an atomic file appears when committed, and replaces the old one", "[io]") {
  const temporary_folder folder;
  const auto path = folder.write("a.txt", "old");
  {
    atomic_file file(path);
    file.write("new ");
    file.write("contents");
    CHECK(contents(path) == "old");
    file.commit();
  }
  CHECK(contents(path) == "new contents");
  CHECK(file_count(folder.path()) == 1);
}

TEST_CASE("an atomic file that is not committed leaves nothing behind", "[io]") {
  const temporary_folder folder;
  const auto path = folder.write("a.txt", "old");
  {
    atomic_file file(path);
    file.write("half of the");
    CHECK(file_count(folder.path()) == 2);
  }
  CHECK(contents(path) == "old");
  CHECK(file_count(folder.path()) == 1);
}

TEST_CASE("an atomic file has the permissions of the one that it replaces", "[io]") {
  namespace fs = std::filesystem;
  const temporary_folder folder;
  const auto path = folder.write("a.txt", "old");
  for (const auto mode : {fs::perms(0600), fs::perms(0640)}) {
    fs::permissions(path, mode);
    atomic_file file(path);
    for (const auto& entry : fs::directory_iterator(folder.path()))  // nobody else reads what is not finished
      CHECK(entry.status().permissions() == (entry == path ? mode : fs::perms(0600)));
    file.commit();
    CHECK(fs::status(path).permissions() == mode);
  }
  fs::permissions(path, fs::perms(0444));
  write_text_file(path, "new");
  CHECK(fs::status(path).permissions() == fs::perms(0644));  // as a file that its owner may write
}

TEST_CASE("two unfinished files of one name do not meet", "[io]") {
  const temporary_folder folder;
  atomic_file one(folder.path() / "x"), two(folder.path() / "x");
  one.write("1"), two.write("2");
  one.commit();
  CHECK(contents(folder.path() / "x") == "1");
  two.commit();
  CHECK(contents(folder.path() / "x") == "2");
}

TEST_CASE("an atomic file that cannot be written says so and leaves nothing", "[io]") {
  const temporary_folder folder;
  CHECK_THAT(io_message([&] { atomic_file file(folder.path() / "no" / "x"); }), has_text("cannot create: No such"));
  std::filesystem::create_directory(folder.path() / "taken");
  CHECK_THAT(io_message([&] { write_text_file(folder.path() / "taken", "x"); }), has_text("is not a file"));
  CHECK_THAT(io_message([&] { write_text_file("/dev/null", "x"); }), has_text("/dev/null: is not a file"));
  CHECK(file_count(folder.path()) == 1);
}

}  // namespace iapt::test::io_atomic_file
