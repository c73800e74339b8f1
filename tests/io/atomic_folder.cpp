// SPDX-License-Identifier: Apache-2.0
#include "iapt/io/atomic_folder.hpp"

#include <fstream>

#include "iapt/core/error.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_atomic_folder {

namespace fs = std::filesystem;

namespace {
void save(const fs::path& name, const std::string& text) {
  atomic_folder folder(name);
  write_text_file(folder.partial() / "state", text);
  folder.commit();
}
}  // namespace

TEST_CASE("an atomic folder is created and replaced whole", "[io]") {
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  CHECK_THAT(io_message([&] { complete_folder(name); }), has_text("no such folder"));
  save(name, "one");
  CHECK(contents(complete_folder(name) / "state") == "one");
  std::ofstream(name / "extra") << "stale";
  save(name.string() + "/", "two");
  CHECK(contents(complete_folder(name) / "state") == "two");
  CHECK_FALSE(fs::exists(name / "extra"));
  CHECK_FALSE(fs::exists(name.string() + ".partial"));
  CHECK_FALSE(fs::exists(name.string() + ".old"));
}

TEST_CASE("an atomic folder that is not committed leaves the old one", "[io]") {
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  save(name, "one");
  {
    atomic_folder next(name);
    write_text_file(next.partial() / "state", "half");
    CHECK(contents(name / "state") == "one");
  }
  CHECK(contents(name / "state") == "one");
  CHECK_FALSE(fs::exists(name.string() + ".partial"));
}

TEST_CASE("what a killed writer leaves is found or cleared up", "[io]") {
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  SECTION("while it wrote") {
    save(name, "one");
    folder.write("best.partial/state", "half");
    CHECK(contents(complete_folder(name) / "state") == "one");
  }
  SECTION("between its two renames") {
    folder.write("best.old/state", "one");
    folder.write("best.partial/state", "two");
    CHECK(contents(complete_folder(name) / "state") == "one");
    {
      atomic_folder next(name);  // puts it back before anything else
      CHECK(contents(name / "state") == "one");
    }
  }
  SECTION("before it removed the old one") {
    save(name, "one");
    folder.write("best.old/state", "zero");
    CHECK(contents(complete_folder(name) / "state") == "one");
  }
  save(name, "three");
  CHECK(contents(complete_folder(name) / "state") == "three");
  CHECK_FALSE(fs::exists(name.string() + ".partial"));
  CHECK_FALSE(fs::exists(name.string() + ".old"));
}

TEST_CASE("an atomic folder refuses to replace a file", "[io]") {
  const temporary_folder folder;
  const auto name = folder.write("best", "a file");
  CHECK_THAT(io_message([&] { atomic_folder next(name); }), has_text("is not a folder"));
  CHECK_THAT(io_message([&] { atomic_folder next(folder.path() / "no" / "x"); }), has_text("cannot create"));
}

}  // namespace iapt::test::io_atomic_folder
