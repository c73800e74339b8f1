// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/train/trainer.hpp"

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "train/toy_run.hpp"

namespace iapt::test::train_trainer {

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

TEST_CASE("a run needs no callbacks", "[train]") {
  const temporary_folder folder;
  toy_run<float> a, b;
  const auto expected = a(settings(folder.path() / "a"));
  const auto found = trainer(b.backend, b.model, b.method, std::span<const example>(b.train_set),
                             std::span<const example>(b.dev_set), settings(folder.path() / "b"))
                         .run();
  CHECK(found.loss == expected.loss);
  CHECK(std::filesystem::exists(folder.path() / "b/checkpoint"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "b/last"));  // no one saves it
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
  there.train_set = counting(25, 9);
  here(options), there(options);
  CHECK(here.method.values() == there.method.values());
  CHECK(here.method.values().back() != before);
  CHECK(to_host(here.method.head) == to_host(toy_method<double>(here.backend).head));
}

TEST_CASE("bi-level learning needs coefficients and a dev set of two", "[train]") {
  auto options = settings();
  options.bilevel = true;
  toy_run<float> run;
  run.dev_set.resize(1);
  CHECK_THROWS_WITH(run(options), has_text("at least 2"));
}

TEST_CASE("a run stops when the dev loss gets no better, and keeps the best", "[train]") {
  const temporary_folder folder;
  toy_run<float> run;
  for (example& e : run.dev_set)
    for (token_id& t : e.response) t = 10;  // what training makes ever less likely
  auto options = settings(folder.path());
  options.patience = 2, options.epochs = 10;
  const auto result = run(options);
  CHECK(result.end == train_end::stopped);
  CHECK(result.best_step == 3);
  CHECK(result.steps == 7);                                            // evaluated at 3, 6 and at the epoch's end
  CHECK(std::count(run.saved.begin(), run.saved.end(), "best") == 2);  // as it began, and after step 3
  CHECK(contents(folder.path() / "best/values") != contents(folder.path() / "last/values"));
  options.resume = true;
  toy_run<float> again;
  again.dev_set = run.dev_set;
  CHECK(again(options).end == train_end::stopped);
  CHECK(again.states.empty());
}

TEST_CASE("an equal dev loss is no gain", "[train]") {
  const temporary_folder folder;
  toy_run<float> run;
  auto options = settings(folder.path());
  options.patience = 2, options.optimizer.learning_rate = 0, options.optimizer.coefficients->learning_rate = 0;
  const auto result = run(options);
  CHECK(result.end == train_end::stopped);
  CHECK(result.best_step == 3);                                        // the first of equals
  CHECK(result.steps == 7);                                            // evaluated at 3, 6 and at the epoch's end
  CHECK(std::count(run.saved.begin(), run.saved.end(), "best") == 2);  // as it began, and after step 3
}

TEST_CASE("without a dev set the last is the best", "[train]") {
  const temporary_folder folder;
  toy_run<float> run;
  run.dev_set.clear();
  const auto result = run(settings(folder.path()));
  CHECK_FALSE(result.dev_loss);
  CHECK(contents(folder.path() / "best/values") == contents(folder.path() / "last/values"));
}

TEST_CASE("a loss that is not finite names the step and keeps the last good checkpoint", "[train]") {
  const temporary_folder folder;
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

TEST_CASE("after a step that failed, a run begins without its gradients", "[train]") {
  toy_run<float> whole, failed;
  const auto good = to_host(failed.model.embedding);
  upload(failed.model.embedding, std::vector(good.size(), std::numeric_limits<float>::quiet_NaN()));
  CHECK_THROWS_AS(failed(settings()), numeric_error);
  upload(failed.model.embedding, good);
  failed(settings()), whole(settings());
  CHECK(failed.method.values() == whole.method.values());
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

TEST_CASE("settings at the edge of sense are accepted", "[train]") {
  toy_run<float> small, bilevel;
  auto options = settings();
  options.epochs = 1, options.batch = 1, options.warm_up = 1;
  CHECK(small(options).steps == 25);
  bilevel.dev_set.resize(2);
  options.bilevel = true, options.bilevel_coefficients = {.learning_rate = 1e-3}, options.warm_up = 0;
  CHECK(bilevel(options).steps == 25);
}

TEST_CASE("metrics tell of every step and evaluation", "[train]") {
  const temporary_folder folder;
  toy_run<float> run;
  const auto result = run(settings(folder.path()));
  std::ifstream file(folder.path() / "metrics.jsonl");
  index_t steps = 0, evaluations = 0;
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
  CHECK(last["gradient_norm"] > 0);
  CHECK(last["coefficient_gradient_norm"] > 0);
  CHECK(last["epoch"] == 3);
}

}  // namespace iapt::test::train_trainer
