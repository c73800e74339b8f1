// SPDX-License-Identifier: Apache-2.0
// Runs that stop and go on, and the folders that they leave.
#include "support/catch.hpp"
#include "support/io_errors.hpp"
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
  for (extent stop : {4, 6, 13, -1}) {
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
  CHECK(!std::filesystem::exists(folder.path() / "best"));
  CHECK(read_run(folder.path() / "checkpoint").at.step == 2);
}

TEST_CASE("folders of somebody else are left alone", "[train]") {
  const temporary_folder folder;
  folder.write("checkpoint/photo.jpg", "precious");
  toy_run<float> run;
  CHECK_THROWS_WITH(run(settings(folder.path())), has_text("holds other files"));
  CHECK(files(folder.path()).size() == 1);
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
