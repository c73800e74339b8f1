// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
// Runs that stop and go on, and the folders that they leave.
#include <sstream>

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/refused_calls.hpp"
#include "train/toy_run.hpp"

namespace iapt::test::train_trainer_resume {

TEST_CASE("a run that was interrupted and resumed equals one that never stopped", "[train]") {
  const bool bilevel = GENERATE(false, true);
  const temporary_folder folder;
  auto whole_options = settings(folder.path() / "whole");
  whole_options.bilevel = bilevel;
  toy_run<float> whole;
  const auto expected = whole(whole_options);
  REQUIRE(expected.steps == 21);

  auto options = settings(folder.path() / "parts");
  options.bilevel = bilevel, options.resume = true;
  train_result result;
  // In the middle of an epoch, at an evaluation, one step before an epoch's end; then to the end.
  for (index_t stop : {4, 6, 13, -1}) {
    toy_run<float> part;
    part.interrupt_after = stop;
    result = part(options);
    CHECK(result.end == (stop < 0 ? train_end::finished : train_end::interrupted));
    if (stop >= 0) CHECK(result.steps == stop);
    if (stop < 0) CHECK(part.method.values() == whole.method.values());
  }
  CHECK(result.tokens == expected.tokens);
  CHECK(result.loss == expected.loss);
  CHECK(result.best_dev_loss == expected.best_dev_loss);
  CHECK(result.best_step == expected.best_step);
  const auto left = files(folder.path() / "whole"), right = files(folder.path() / "parts");
  REQUIRE(left.size() == 5);  // best, last, metrics, checkpoint's two
  for (const auto& [name, contents] : left) {
    INFO(name);
    REQUIRE(right.count(name) == 1);
    CHECK(right.at(name) == contents);
  }
}

TEST_CASE("a run that was killed goes on from its checkpoint, and its later metrics are written again", "[train]") {
  const temporary_folder folder;
  toy_run<float> whole;
  whole(settings(folder.path() / "whole"));
  const auto out = folder.path() / "killed";
  {
    toy_run<float> part;
    part.interrupt_after = 6;
    part(settings(out));
  }
  std::ofstream(out / "metrics.jsonl", std::ios::app) << "{\"step\":7,\"loss\":9}\n{\"step\":8,\"lo";
  auto options = settings(out);
  options.resume = true;
  toy_run<float> rest;
  rest(options);
  CHECK(rest.method.values() == whole.method.values());
  CHECK(contents(out / "metrics.jsonl") == contents(folder.path() / "whole" / "metrics.jsonl"));
}

TEST_CASE("a finished run that is resumed does nothing more", "[train]") {
  const temporary_folder folder;
  auto options = settings(folder.path());
  toy_run<float> first, second;
  first(options);
  const auto before = files(folder.path());
  options.resume = true;
  const auto result = second(options);
  CHECK(result.steps == 21);
  CHECK(second.states.empty());
  CHECK(second.method.values() == first.method.values());
  CHECK(files(folder.path()) == before);
}

TEST_CASE("a run ends the same wherever it was killed between its folders", "[train]") {
  struct killed {};
  const bool with_dev = GENERATE(true, false), overwrites = GENERATE(false, true);
  const temporary_folder folder;
  const auto one_epoch = [&](const char* name) {
    auto options = settings(folder.path() / name);
    options.epochs = 1;
    return options;
  };
  std::map<index_t, std::string> values;  // after each step
  toy_run<float> whole;
  if (!with_dev) whole.dev_set.clear();
  whole.after_step = [&] {
    std::ostringstream text;
    text.precision(17);
    for (float x : whole.method.values()) text << x << '\n';
    values[whole.states.back().step] = text.str();
  };
  whole(one_epoch("whole"));
  const auto expected = files(folder.path() / "whole");
  const auto parts = std::ptrdiff_t(whole.saved.size());
  REQUIRE(parts > 6);

  const auto out = folder.path() / "killed";
  for (const bool committed : {false, true})
    for (std::ptrdiff_t part = 0; part < parts; ++part) {
      CAPTURE(part, committed);
      std::filesystem::remove_all(out);
      if (overwrites) {
        toy_run<float> older;
        older.dev_set = counting(6, 3);
        older(one_epoch("killed"));
      }
      toy_run<float> first;
      (committed ? first.after_commit : first.before_commit) = [&, left = part]() mutable {
        if (left-- == 0) throw killed();
      };
      if (!with_dev) first.dev_set.clear();
      auto options = one_epoch("killed");
      options.overwrite = overwrites;
      CHECK_THROWS_AS(first(options), killed);

      options.overwrite = false, options.resume = true;
      toy_run<float> next;
      if (!with_dev) next.dev_set.clear();
      next.interrupt_after = read_run(out / "checkpoint").at.step + 1;
      next(options);
      const auto at = read_run(out / "checkpoint").at;
      CHECK(contents(out / "last/values") == values[at.step]);
      CHECK(contents(out / "best/values") == values[at.best_step ? at.best_step : at.step]);

      toy_run<float> rest;
      if (!with_dev) rest.dev_set.clear();
      rest(options);
      CHECK(files(out) == expected);
    }
}

TEST_CASE("a run that goes on elsewhere says that its bits differ", "[train]") {
  const temporary_folder folder;
  auto options = settings(folder.path());
  const auto go_on = [&](int threads, index_t until) {
    toy_run<float> part{.threads = threads};
    part.interrupt_after = until;
    part(options);
    return part.said.front();
  };
  go_on(1, 4);
  options.resume = true;
  CHECK(go_on(1, 5) == "resumed at step 4 of 21, bit for bit as if it had not stopped");
  if (with_threads(1).description() == with_threads(2).description()) return;  // a GPU, or a build without threads
  CHECK_THAT(go_on(2, 6),
             starts_with("resumed at step 5 of 21\nnote: the run is not bit for bit one that never stopped") &&
                 has_text("1 thread") && has_text("2 threads") && has_text(" now"));
  CHECK_THAT(go_on(2, 7), has_text("note: the run is not bit for bit one that never stopped"));
  options.eval_batch.tokens = 7;
  CHECK_THAT(go_on(2, 7), has_text("evaluated_at_once: ") && has_text(" 7 tokens"));
  auto run = nlohmann::ordered_json::parse(contents(folder.path() / "checkpoint/run.json"));
  run.erase("machines");  // as version 0.1 wrote it
  folder.write("checkpoint/run.json", run.dump());
  CHECK_THAT(go_on(2, 8), has_text("note: the checkpoint does not say what computed it"));
}

TEST_CASE("other settings or other data cannot be resumed", "[train]") {
  const temporary_folder folder;
  auto options = settings(folder.path());
  toy_run<float>{}(options);
  options.resume = true;
  options.batch = 5;
  CHECK_THROWS_WITH(toy_run<float>{}(options), has_text("batch: 4 then, 5 now"));
  options.batch = 4;
  toy_run<float> other;
  other.train_set[3].response[0] = 10;
  CHECK_THROWS_WITH(other(options), has_text("train_data: "));
  CHECK_THROWS_AS(toy_run<double>{}(options), io_error);  // stored as float
}

}  // namespace iapt::test::train_trainer_resume
