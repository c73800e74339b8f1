// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// What runs find in their folders: other runs, parts of them, what is somebody else's, and no room.
#include "iapt/train/run_folder.hpp"

#include <sys/resource.h>

#include <csignal>
#include <optional>

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/refused_calls.hpp"
#include "train/toy_run.hpp"

namespace iapt::test::train_run_folder {
namespace {

/// While it lives, no file of this process gets longer, as on a disk that is full.
class longest_file {
 public:
  explicit longest_file(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~longest_file() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  longest_file(const longest_file&) = delete;
  longest_file& operator=(const longest_file&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

}  // namespace

TEST_CASE("a run that is there is not replaced unless asked", "[train]") {
  const temporary_folder folder;
  toy_run<float> first;
  first(settings(folder.path()));
  const auto before = files(folder.path());
  toy_run<float> second;
  CHECK_THROWS_WITH(second(settings(folder.path())), has_text("holds a run that stands at step 21"));
  CHECK(files(folder.path()) == before);

  auto again = settings(folder.path());
  again.overwrite = true, again.epochs = 1, again.eval_every = 0, again.seed = 6;
  toy_run<float> third;
  third.interrupt_after = 2;  // before anything was evaluated: the older run's best must be gone
  third(again);
  CHECK(contents(folder.path() / "best/values") == contents(folder.path() / "last/values"));
  CHECK(read_run(folder.path() / "checkpoint").at.step == 2);
}

TEST_CASE("a run whose checkpoint is gone is not replaced unless asked", "[train]") {
  const temporary_folder folder;
  toy_run<float>{}(settings(folder.path()));
  std::filesystem::remove_all(folder.path() / "checkpoint");
  const auto before = files(folder.path());
  for (const bool resume : {false, true}) {
    auto options = settings(folder.path());
    options.resume = resume;
    CHECK_THROWS_WITH(toy_run<float>{}(options), has_text("holds \"best\" of a run, but no checkpoint"));
    CHECK(files(folder.path()) == before);
  }
  auto options = settings(folder.path());
  options.overwrite = true;
  CHECK(toy_run<float>{}(options).steps == 21);
}

TEST_CASE("two runs at a time do not meet in a folder", "[train]") {
  const temporary_folder folder;
  folder.write(".iapt.lock", "process 1 on nowhere since ever");  // of a process that was killed
  std::string refused;
  toy_run<float> first;
  first.after_step = [&] {
    if (first.states.size() != 5) return;
    const auto before = files(folder.path());
    auto options = settings(folder.path());
    options.resume = true;
    refused = io_message([&] { toy_run<float>{}(options); });
    CHECK(files(folder.path()) == before);
  };
  first(settings(folder.path()));
  CHECK_THAT(refused, has_text("process " + std::to_string(::getpid()) + " on ") && has_text(" since 20") &&
                          has_text(" UTC works in this folder; wait until it has ended"));
  CHECK(first.states.size() == 21);
  CHECK_FALSE(std::filesystem::exists(folder.path() / ".iapt.lock"));

  toy_run<float> third;
  auto options = settings(folder.path());
  options.overwrite = true;
  without_locks([&] { third(options); });
  CHECK_THAT(third.said.front(), has_text("this file system has no locks"));
  CHECK(third.states.size() == 21);
}

TEST_CASE("folders of somebody else are left alone", "[train]") {
  const temporary_folder folder;
  folder.write("checkpoint/photo.jpg", "precious");
  toy_run<float> run;
  CHECK_THROWS_WITH(run(settings(folder.path())), has_text("holds other files"));
  CHECK(files(folder.path()).size() == 1);
  std::filesystem::rename(folder.path() / "checkpoint", folder.path() / "best");
  CHECK_THROWS_WITH(run(settings(folder.path())), has_text("holds \"best\" of a run"));
  CHECK(files(folder.path()).size() == 1);
}

TEST_CASE("folders that could not be replaced are refused before anything is written", "[train]") {
  for (const char* name : {"best", "last"}) {
    const temporary_folder folder;
    toy_run<float>{}(settings(folder.path()));
    std::filesystem::remove_all(folder.path() / name);
    folder.write(std::string(name) + "/notes.txt", "precious");
    const auto before = files(folder.path());
    for (const bool resume : {false, true}) {
      auto options = settings(folder.path());
      options.resume = resume;
      options.overwrite = !resume;
      CHECK_THROWS_WITH(toy_run<float>{}(options), has_text(std::string(name) + ": holds other files and no values"));
      CHECK(files(folder.path()) == before);
    }
  }
}

TEST_CASE("a file that somebody puts into a run's folders stays, and ends no run", "[train]") {
  const temporary_folder folder;
  toy_run<float> run;
  run.after_step = [&] {
    if (run.states.size() != 4) return;
    for (const char* name : {"best/notes.txt", "last/.DS_Store", "checkpoint/notes.txt"})
      folder.write(name, "precious");
  };
  CHECK(run(settings(folder.path())).steps == 21);
  auto left = files(folder.path());
  for (const char* name : {"best/notes.txt", "last/.DS_Store", "checkpoint/notes.txt"}) CHECK(left[name] == "precious");
  CHECK(left.size() == 8);
}

TEST_CASE("a full disk ends a run with its last state intact", "[train]") {
  const temporary_folder folder;
  toy_run<float> whole;
  whole.dev_set.clear();
  whole(settings(folder.path() / "whole"));

  const auto out = folder.path() / "full";
  const auto kept = [&] {
    auto all = files(out);
    all.erase("metrics.jsonl");
    return all;
  };
  std::map<std::string, std::string> before;
  {
    std::optional<longest_file> limit;
    toy_run<float> first;
    first.dev_set.clear();
    first.after_step = [&] {
      if (first.states.size() != 14) return;  // before the second epoch's end is saved
      before = kept();
      limit.emplace(100);
    };
    CHECK_THAT(io_message([&] { first(settings(out)); }), has_text("state.safetensors: cannot write: File too large"));
  }
  CHECK(read_run(out / "checkpoint").at.step == 12);
  before.erase(".iapt.lock");
  CHECK(kept() == before);
  auto options = settings(out);
  options.resume = true;
  toy_run<float> rest;
  rest.dev_set.clear();
  rest(options);
  CHECK(files(out) == files(folder.path() / "whole"));
}

}  // namespace iapt::test::train_run_folder
