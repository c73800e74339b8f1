// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/temporary.hpp"

#include "iapt/core/error.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_temporary {

namespace fs = std::filesystem;

TEST_CASE("a temporary name tells whose it is, and no other name is one", "[io]") {
  const auto name = parse_temporary_name(".a.b.0123456789abcdef.iapt-old");
  REQUIRE(name);
  CHECK(name->target == "a.b");
  CHECK(name->digits == "0123456789abcdef");
  CHECK(name->ending == replaced_ending);
  CHECK(name->text() == ".a.b.0123456789abcdef.iapt-old");
  for (const char* other :
       {"", ".", ".iapt", "..iapt", "a.0123456789abcdef.iapt", ".0123456789abcdef.iapt", "..0123456789abcdef.iapt",
        ".a.0123456789abcdeg.iapt", ".a.0123456789abcde.iapt", ".a.0123456789abcdef.tmp", ".a-0123456789abcdef.iapt"}) {
    CAPTURE(other);
    CHECK_FALSE(parse_temporary_name(other));
  }
}

TEST_CASE("temporaries of one target do not meet, and are cleared only when nobody has them", "[io]") {
  const temporary_folder folder;
  const fs::path target = folder.path() / "x";
  std::vector<fs::path> cleared;
  const auto clear = [&] {
    cleared.clear();
    clear_leftovers(target, [&](const fs::path& path) { cleared.push_back(path); });
    return cleared.size();
  };
  auto one = temporary::file(target), two = temporary::folder(target), other = temporary::file(folder.path() / "y");
  CHECK(one.path != two.path);
  CHECK(fs::is_regular_file(one.path));
  CHECK(fs::is_directory(two.path));
  CHECK(clear() == 0);
  two.opened = {};
  CHECK(clear() == 1);
  CHECK(cleared[0] == two.path);
  CHECK_THAT(io_message([&] { temporary::file(folder.path() / "no" / "x"); }), has_text("x: cannot create: No such"));
}

TEST_CASE("a path's place is behind symbolic links, also where nothing is there yet", "[io]") {
  const temporary_folder folder;
  fs::create_symlink("second", folder.path() / "first");
  fs::create_symlink(folder.path() / "third", folder.path() / "second");
  fs::create_symlink("circle", folder.path() / "circle");
  CHECK(place_of(folder.path() / "first") == folder.path() / "third");
  CHECK(place_of(folder.path() / "plain/") == folder.path() / "plain");
  CHECK(place_of(folder.path() / "circle") == folder.path() / "circle");
}

}  // namespace iapt::test::io_temporary
