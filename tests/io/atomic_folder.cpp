// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/atomic_folder.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "iapt/core/error.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/refused_calls.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_atomic_folder {

namespace fs = std::filesystem;

namespace {
constexpr std::array files{"state", "more"};

void save(const fs::path& name, const std::string& text) {
  atomic_folder folder(name, files);
  write_text_file(folder.partial() / "state", text);
  folder.commit();
}
std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}
using names = std::set<std::string>;

// Whether the system can exchange two names, or a writer must rename twice.
enum class system_kind { exchanges, renames_twice };
void on(system_kind kind, const std::function<void()>& f) {
  kind == system_kind::exchanges ? f() : without_exchange(f);
}
}  // namespace

TEST_CASE("an atomic folder is created and replaced whole", "[io]") {
  const auto kind = GENERATE(system_kind::exchanges, system_kind::renames_twice);
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  CHECK_THAT(io_message([&] { complete_folder(name, "state"); }), has_text("no such folder"));
  on(kind, [&] { save(name, "one"); });
  CHECK(contents(complete_folder(name, "state") / "state") == "one");
  std::ofstream(name / "more") << "stale";
  on(kind, [&] { save(name.string() + "/", "two"); });
  CHECK(contents(complete_folder(name, "state") / "state") == "two");
  CHECK(names_in(name) == names{"state"});
  CHECK(names_in(folder.path()) == names{"best"});
}

TEST_CASE("an atomic folder has the permissions of the one that it replaces", "[io]") {
  const auto kind = GENERATE(system_kind::exchanges, system_kind::renames_twice);
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  save(name, "one");
  const fs::perms mode = GENERATE(fs::perms(0700), fs::perms(02775));
  fs::permissions(name, mode), fs::permissions(name / "state", fs::perms(0600));
  on(kind, [&] { save(name, "two"); });
  CHECK(contents(name / "state") == "two");
  CHECK(fs::status(name).permissions() == mode);
  CHECK(fs::status(name / "state").permissions() == fs::perms(0600));
}

TEST_CASE("an atomic folder that is not committed leaves the old one", "[io]") {
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  save(name, "one");
  {
    atomic_folder next(name, files);
    write_text_file(next.partial() / "state", "half");
    CHECK(contents(name / "state") == "one");
  }
  CHECK(contents(name / "state") == "one");
  CHECK(names_in(folder.path()) == names{"best"});
}

TEST_CASE("an atomic folder removes nothing that is not its own", "[io]") {
  const auto kind = GENERATE(system_kind::exchanges, system_kind::renames_twice);
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  save(name, "one");
  folder.write("best/notes.txt", "precious");
  folder.write("best/more", "of a former one");
  folder.write("best/plots/loss.png", "precious");
  for (const char* own : {"best.old", "best.partial", ".best.old", ".best.0123456789abcdef.tmp", ".best.12.iapt"})
    folder.write(std::string(own) + "/state", "precious");
  const auto before = names_in(folder.path());
  on(kind, [&] { save(name, "two"), save(name, "three"); });
  CHECK(names_in(folder.path()) == before);
  CHECK(contents(name / "state") == "three");
  CHECK(names_in(name) == names{"state", "notes.txt", "plots"});
  CHECK(contents(name / "notes.txt") == "precious");
  CHECK(contents(name / "plots" / "loss.png") == "precious");
}

TEST_CASE("what a killed writer left is found or cleared up, what a living one has is not", "[io]") {
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  SECTION("while it wrote") {
    save(name, "one");
    folder.write(".best.0123456789abcdef.iapt/state", "half");
    folder.write(".best.0123456789abcdef.iapt/.more.0123456789abcdef.iapt", "half");
    folder.write(".best.0123456789abcdef.iapt/notes.txt", "precious");  // as it is where it was exchanged
    CHECK(contents(complete_folder(name, "state") / "state") == "one");
    save(name, "three");
    CHECK(contents(name / "notes.txt") == "precious");
    fs::remove(name / "notes.txt");
  }
  SECTION("between its two renames") {
    folder.write(".best.0123456789abcdef.iapt-old/state", "one");
    folder.write(".best.0123456789abcdef.iapt/state", "two");
    CHECK(contents(complete_folder(name, "state") / "state") == "one");
    folder.write("best/notes.txt", "of another kind");
    CHECK_FALSE(find_folder(name, "state"));
    fs::remove_all(name);
    { const atomic_folder next(name, files); }
    CHECK(contents(complete_folder(name, "state") / "state") == "one");
    save(name, "three");
  }
  SECTION("before it removed the old one") {
    save(name, "one");
    folder.write(".best.0123456789abcdef.iapt-old/state", "zero");
    CHECK(contents(complete_folder(name, "state") / "state") == "one");
    fs::rename(name, folder.path() / "elsewhere");  // who removes a folder is not given an older one
    CHECK_FALSE(find_folder(name, "state"));
    fs::rename(folder.path() / "elsewhere", name);
    save(name, "three");
  }
  SECTION("and another lives") {
    atomic_folder living(name, files);
    write_text_file(living.partial() / "state", "three");
    save(name, "two");
    CHECK(contents(name / "state") == "two");
    living.commit();
  }
  SECTION("and files are on it that have no locks") {
    folder.write(".best.0123456789abcdef.iapt/state", "perhaps somebody's");
    without_locks([&] { save(name, "one"), save(name, "two"); });
    CHECK(names_in(folder.path()) == names{"best", ".best.0123456789abcdef.iapt"});
    save(name, "three");
  }
  CHECK(contents(complete_folder(name, "state") / "state") == "three");
  CHECK(names_in(name) == names{"state"});
  CHECK(names_in(folder.path()) == names{"best"});
}

TEST_CASE("a folder that version 0.1 left between two renames is found, and left", "[io]") {
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  folder.write("best.old/state", "one");
  CHECK_FALSE(find_folder(name, "state"));  // somebody's copy of a folder that was removed
  folder.write("best.partial/state", "two");
  CHECK(contents(complete_folder(name, "state") / "state") == "one");
  save(name, "three");
  CHECK(contents(complete_folder(name, "state") / "state") == "three");
  CHECK(contents(folder.path() / "best.old" / "state") == "one");
}

TEST_CASE("a folder is found at every instant, also where names cannot be exchanged", "[io]") {
  const auto kind = GENERATE(system_kind::exchanges, system_kind::renames_twice);
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  save(name, "0");
  std::atomic<bool> done = false;
  std::thread writer([&] {
    on(kind, [&] {
      for (int i = 1; i < 100; ++i) save(name, std::to_string(i));
    });
    done = true;
  });
  int missing = 0, found = 0;
  while (!done) ++(find_folder(name, "state") ? found : missing);
  writer.join();
  CHECK(missing == 0);
  CHECK(found > 0);
  CHECK(names_in(folder.path()) == names{"best"});
}

TEST_CASE("who replaces a folder waits for those that read it, but not for good", "[io]") {
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  save(name, "one");
  {
    descriptor one = hold_folder(name), two = hold_folder(name);
    CHECK((one && two));
    std::thread writer([&] { save(name, "two"); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(contents(name / "state") == "one");
    one = {}, two = {};
    writer.join();
    CHECK(contents(name / "state") == "two");
  }
  const descriptor forgotten = hold_folder(name);
  save(name, "three");
  CHECK(contents(name / "state") == "three");
  CHECK(names_in(folder.path()) == names{"best"});
  CHECK_FALSE(hold_folder(folder.path() / "nothing"));
}

TEST_CASE("several may write a folder at a time, and the last stays", "[io]") {
  const auto kind = GENERATE(system_kind::exchanges, system_kind::renames_twice);
  const temporary_folder folder;
  const fs::path name = folder.path() / "best";
  std::vector<std::thread> writers;
  std::atomic<int> refused = 0;
  for (int w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      on(kind, [&] {
        for (int i = 0; i < 12; ++i) try {
            save(name, std::to_string(w));
          } catch (const error&) { ++refused; }
      });
    });
  for (auto& writer : writers) writer.join();
  CHECK(refused == 0);
  CHECK(contents(name / "state").size() == 1);
  CHECK(names_in(folder.path()) == names{"best"});
}

TEST_CASE("behind a symbolic link, the link's target is replaced", "[io]") {
  const temporary_folder folder;
  fs::create_directory(folder.path() / "disk");
  fs::create_symlink("disk/best", folder.path() / "best");
  for (const char* text : {"one", "two"}) {
    save(folder.path() / "best", text);
    CHECK(fs::is_symlink(folder.path() / "best"));
    CHECK(contents(folder.path() / "disk" / "best" / "state") == text);
    CHECK(contents(complete_folder(folder.path() / "best", "state") / "state") == text);
  }
  CHECK(names_in(folder.path() / "disk") == names{"best"});
}

TEST_CASE("an atomic folder refuses to replace what is somebody else's", "[io]") {
  const temporary_folder folder;
  const auto name = folder.write("best", "a file");
  CHECK_THAT(io_message([&] { atomic_folder next(name, files); }), has_text("is not a folder"));
  CHECK_THAT(io_message([&] { atomic_folder next(folder.path() / "no" / "x", files); }), has_text("cannot create"));
  folder.write("photos/cat.jpg", "precious");
  CHECK_THAT(io_message([&] { atomic_folder next(folder.path() / "photos", files); }),
             has_text("photos: holds other files and no state"));
}

}  // namespace iapt::test::io_atomic_folder
