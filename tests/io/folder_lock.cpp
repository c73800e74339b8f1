// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/folder_lock.hpp"

#include <optional>

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_folder_lock {

TEST_CASE("a folder is held until its lock goes", "[io]") {
  const temporary_folder folder;
  std::optional<folder_lock> first(folder.path());
  CHECK(first->certain());
  CHECK_THAT(io_message([&] { folder_lock{folder.path()}; }), has_text("works in this folder"));
  first.reset();
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK(io_message([&] { folder_lock{folder.path()}; }) == "nothing thrown");
}

TEST_CASE("a lock whose file was removed leaves the next one's alone", "[io]") {
  const temporary_folder folder;
  std::optional<folder_lock> first(folder.path());
  std::filesystem::remove(folder.path() / ".iapt.lock");
  const folder_lock second(folder.path());
  first.reset();
  CHECK(std::filesystem::exists(folder.path() / ".iapt.lock"));
  CHECK_THAT(io_message([&] { folder_lock{folder.path()}; }), has_text("works in this folder"));
}

}  // namespace iapt::test::io_folder_lock
