// SPDX-License-Identifier: Apache-2.0
#include "iapt/train/trainer.hpp"

#include <map>

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"
#include "train/toy.hpp"

namespace {

using namespace iapt;
using iapt::test::has_text;
using iapt::test::test_backend, iapt::test::with_threads;

// A run and everything that can be seen of it.
template <class T>
struct toy_run {
  test_backend backend = with_threads(1);
  test::toy_model<T> model{backend};
  test::toy_method<T> method{backend};
  std::vector<example> train_set = test::counting(25, 1), dev_set = test::counting(12, 2);
  std::vector<std::string> said, saved;
  std::vector<progress_state> states;
  extent interrupt_after = -1;

  train_result operator()(const train_options& options) {
    train_callbacks calls;
    calls.save = [&](const std::filesystem::path& folder) {
      saved.push_back(folder.filename().string());
      std::filesystem::create_directories(folder);
      std::ofstream out(folder / "values");
      out.precision(17);
      for (T x : method.values()) out << x << '\n';
    };
    calls.say = [&](const std::string& text) { said.push_back(text); };
    calls.progress = [&](const progress_state& state) { states.push_back(state); };
    calls.interrupted = [&] { return interrupt_after >= 0 && states.back().step >= interrupt_after; };
    return trainer(backend, model, method, std::span<const example>(train_set), std::span<const example>(dev_set),
                   options, calls)
        .run();
  }
};
train_options settings(const std::filesystem::path& out = {}) {
  return {.epochs = 3,
          .batch = 4,
          .seed = 5,
          .optimizer = {.learning_rate = 0.05, .coefficients = group_settings{.learning_rate = 0.01}},
          .eval_every = 3,
          .out = out};
}
// What a run left in its folder, for comparison.
std::map<std::string, std::string> files(const std::filesystem::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      all[std::filesystem::relative(entry.path(), folder).string()] = test::contents(entry.path());
  return all;
}

}  // namespace

TEST_CASE("a toy learns to count", "[train]") {
  toy_run<float> run;
  auto options = settings();
  options.epochs = 40;
  const auto result = run(options);
  CHECK(result.end == train_end::finished);
  CHECK(result.steps == 40 * 7);
  CHECK(run.states.front().loss > 2);
  CHECK(result.loss < 0.8);
  CHECK(*result.best_dev_loss < 0.8);
  CHECK(run.states.back().step == run.states.back().steps);
  CHECK(run.saved.empty());  // no folder, nothing written
  const auto dev = evaluate(run.backend, run.model, run.method, std::span<const example>(run.dev_set));
  CHECK(dev.loss == *result.dev_loss);
}

TEST_CASE("a run repeats bit for bit, and another seed gives another", "[train]") {
  toy_run<float> a, b, c;
  a(settings()), b(settings());
  auto other = settings();
  other.seed = 6;
  c(other);
  CHECK(a.method.values() == b.method.values());
  CHECK(a.method.values() != c.method.values());
}

TEST_CASE("a run that was interrupted and resumed equals one that never stopped", "[train]") {
  const bool bilevel = GENERATE(false, true);
  const test::temporary_folder folder;
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
  const test::temporary_folder folder;
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
  CHECK(test::contents(out / "metrics.jsonl") == test::contents(folder.path() / "whole" / "metrics.jsonl"));
}

TEST_CASE("a finished run that is resumed does nothing more", "[train]") {
  const test::temporary_folder folder;
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
  const test::temporary_folder folder;
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
  const test::temporary_folder folder;
  folder.write("checkpoint/photo.jpg", "precious");
  toy_run<float> run;
  CHECK_THROWS_WITH(run(settings(folder.path())), has_text("holds other files"));
  CHECK(files(folder.path()).size() == 1);
}

TEST_CASE("other settings or other data cannot be resumed", "[train]") {
  const test::temporary_folder folder;
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

TEST_CASE("micro-batches give the gradient of the whole batch", "[train]") {
  std::vector<std::vector<double>> values;
  for (const batch_limits& limits :
       {batch_limits{}, batch_limits{.sequences = 1}, batch_limits{.sequences = 3}, batch_limits{.tokens = 9}}) {
    toy_run<double> run;
    auto options = settings();
    options.micro_batch = limits;
    run(options);
    values.push_back(run.method.values());
  }
  for (const auto& other : values)
    for (std::size_t i = 0; i < other.size(); ++i) CHECK(other[i] == Approx(values[0][i]).margin(1e-10));
}

TEST_CASE("bi-level learning moves the coefficients by one half of the dev set alone", "[train]") {
  auto options = settings();
  options.bilevel = true, options.bilevel_coefficients = {.learning_rate = 1e-3};
  toy_run<double> run, frozen, other;
  const double before = run.method.values().back();
  run(options);
  CHECK(run.method.values().back() != before);
  CHECK(std::abs(run.method.values().back() - before) <= 21 * 1e-3 * 1.1);  // Adam's steps are about the rate

  options.bilevel_coefficients.learning_rate = 0;
  frozen(options);
  CHECK(frozen.method.values().back() == before);

  // The training set's gradients never reach them: other training data, weights that do not learn, equal coefficients.
  options.bilevel_coefficients.learning_rate = 1e-3, options.optimizer.learning_rate = 0;
  toy_run<double> here, there;
  there.train_set = test::counting(25, 9);
  here(options), there(options);
  CHECK(here.method.values() == there.method.values());
  CHECK(here.method.values().back() != before);
  CHECK(to_host(here.method.head) == to_host(test::toy_method<double>(here.backend).head));
}

TEST_CASE("bi-level learning needs coefficients and a dev set of two", "[train]") {
  auto options = settings();
  options.bilevel = true;
  toy_run<float> run;
  run.dev_set.resize(1);
  CHECK_THROWS_WITH(run(options), has_text("at least 2"));
}

TEST_CASE("a run stops when the dev loss gets no better, and keeps the best", "[train]") {
  const test::temporary_folder folder;
  toy_run<float> run;
  for (example& e : run.dev_set)
    for (token_id& t : e.response) t = 10;  // what training makes ever less likely
  auto options = settings(folder.path());
  options.patience = 2, options.epochs = 10;
  const auto result = run(options);
  CHECK(result.end == train_end::stopped);
  CHECK(result.best_step == 3);
  CHECK(result.steps == 7);  // evaluated at 3, 6 and at the epoch's end
  CHECK(std::count(run.saved.begin(), run.saved.end(), "best") == 1);
  CHECK(test::contents(folder.path() / "best/values") != test::contents(folder.path() / "last/values"));
  options.resume = true;
  toy_run<float> again;
  again.dev_set = run.dev_set;
  CHECK(again(options).end == train_end::stopped);
  CHECK(again.states.empty());
}

TEST_CASE("without a dev set the last is the best", "[train]") {
  const test::temporary_folder folder;
  toy_run<float> run;
  run.dev_set.clear();
  const auto result = run(settings(folder.path()));
  CHECK_FALSE(result.dev_loss);
  CHECK(test::contents(folder.path() / "best/values") == test::contents(folder.path() / "last/values"));
}

TEST_CASE("a loss that is not finite names the step and keeps the last good checkpoint", "[train]") {
  const test::temporary_folder folder;
  toy_run<float> run;
  auto options = settings(folder.path());
  options.optimizer.learning_rate = 3e38, options.shape = decay::constant, options.warm_up = 0;
  options.optimizer.coefficients = group_settings{.learning_rate = 0};
  CHECK_THROWS_AS(run(options), numeric_error);
  toy_run<float> again;
  CHECK_THROWS_WITH(again(options),
                    has_text("train: step 2: the loss is not finite") && has_text("3e+38") && has_text("third of it"));
  CHECK(read_run(folder.path() / "checkpoint").at.step == 0);

  // Later, when there is something to keep.
  toy_run<float> late;
  auto good = settings(folder.path() / "late");
  late.interrupt_after = 8;
  late(good);
  auto values = to_host(late.model.embedding);
  values[0] = std::numeric_limits<float>::quiet_NaN();
  upload(late.model.embedding, values);
  late.interrupt_after = -1;
  good.resume = true;
  CHECK_THROWS_WITH(late(good), has_text("the last good checkpoint is kept: ") && has_text("step 8"));
  CHECK(read_run(folder.path() / "late/checkpoint").at.step == 8);
}

TEST_CASE("settings that make no sense are refused", "[train]") {
  const auto refused = [](auto change) {
    toy_run<float> run;
    auto options = settings();
    change(run, options);
    CHECK_THROWS_AS(run(options), error);
  };
  refused([](auto& run, auto&) { run.train_set.clear(); });
  refused([](auto&, auto& options) { options.epochs = 0; });
  refused([](auto&, auto& options) { options.batch = 0; });
  refused([](auto&, auto& options) { options.warm_up = 2; });
  refused([](auto&, auto& options) { options.resume = true; });
  refused([](auto&, auto& options) { options.out = "/dev/null/run"; });
}

TEST_CASE("metrics tell of every step and evaluation", "[train]") {
  const test::temporary_folder folder;
  toy_run<float> run;
  const auto result = run(settings(folder.path()));
  std::ifstream file(folder.path() / "metrics.jsonl");
  extent steps = 0, evaluations = 0;
  nlohmann::json last;
  for (std::string line; std::getline(file, line);) {
    const auto object = nlohmann::json::parse(line);
    if (object.contains("dev_loss")) {
      ++evaluations;
    } else {
      CHECK(object["step"] == ++steps);
      last = object;
    }
  }
  CHECK(steps == 21);
  CHECK(evaluations == 9);  // 3, 6, 7, 9, 12, 14, 15, 18, 21
  CHECK(last["loss"] == result.loss);
  CHECK(last["tokens"] == result.tokens);
  CHECK(last["epoch"] == 3);
}
