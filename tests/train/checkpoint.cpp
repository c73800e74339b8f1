// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/train/checkpoint.hpp"

#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/temporary_folder.hpp"
#include "train/toy.hpp"

namespace iapt::test::train_checkpoint {

TEST_CASE("a checkpoint gives everything back exactly", "[train]") {
  const test::temporary_folder folder;
  const auto path = folder.path() / "checkpoint";
  test_backend backend = with_threads(1);
  const test::toy_method<float> method(backend), other(backend, 2);
  adamw optimizer{method.parameters()}, fresh{other.parameters()};
  for (const auto& p : method.parameters()) {
    float* g = p.values.adjoint().first;
    for (index_t i = 0; i < p.values.size(); ++i) g[i] = float(i) / 7 - 1;
  }
  optimizer.step();
  const run_position at{.step = 7,
                        .tokens = 1234567890123,
                        .loss = 0.1,
                        .dev_loss = 1.0 / 3,
                        .best_dev_loss = {},
                        .best_step = 5,
                        .without_gain = 2};
  const nlohmann::json thread{{"device", "1 thread"}}, gpu{{"device", "a GPU"}};
  save_checkpoint(path, at, {{"batch", 4}}, nlohmann::json::array({thread}), optimizer);
  const auto run = read_run(path);
  CHECK(run.at.step == 7);
  CHECK(run.at.tokens == 1234567890123);
  CHECK(run.at.loss == 0.1);
  CHECK(run.at.dev_loss == 1.0 / 3);
  CHECK_FALSE(run.at.best_dev_loss);
  CHECK(run.at.without_gain == 2);
  load_checkpoint(run, fresh);
  CHECK(other.values() == method.values());
  CHECK(fresh.state()[0].first == optimizer.state()[0].first);
  CHECK(fresh.state()[1].second == optimizer.state()[1].second);
  CHECK(fresh.state()[1].steps == 1);
  CHECK_NOTHROW(require_equal_settings(run, {{"batch", 4}}));
  CHECK_THROWS_WITH(require_equal_settings(run, {{"batch", 4}, {"seed", 1}}), has_text("seed: nothing then, 1 now"));
  CHECK_THAT(to_text(run, thread), has_text(", bit for bit"));
  CHECK_THAT(to_text(run, gpu), has_text("\"1 thread\" then, \"a GPU\" now"));
  CHECK_THAT(to_text({}, gpu), has_text("does not say what computed it"));
}

TEST_CASE("damaged and foreign checkpoints are refused before anything changes", "[train]") {
  const test::temporary_folder folder;
  const auto path = folder.path() / "checkpoint";
  test_backend backend = with_threads(1);
  const test::toy_method<float> method(backend);
  adamw optimizer{method.parameters()};
  const auto nothing = nlohmann::ordered_json::object();
  save_checkpoint(path, {}, nothing, nlohmann::json::array(), optimizer);
  auto renamed = method.parameters();
  renamed[1].name = "elsewhere";
  adamw foreign{renamed};
  CHECK_THAT(test::io_message([&] { load_checkpoint(read_run(path), foreign); }), has_text("elsewhere"));
  auto bent = method.parameters();
  bent[0].shape = {test::toy_width * test::toy_vocabulary};
  adamw other{bent};
  CHECK_THAT(test::io_message([&] { load_checkpoint(read_run(path), other); }), has_text("expected (66)"));

  const auto refusal = [&](const std::string& contents) {
    std::ofstream(path / "run.json") << contents;
    return test::io_message([&] { read_run(path); });
  };
  CHECK_THAT(refusal("{"), has_text("run.json: byte 2: the state of the run is not valid JSON"));
  CHECK_THAT(refusal("{\"settings\": " + std::string(1 << 20, '[')),
             has_text("the state of the run is nested over 64 deep"));
  CHECK_THAT(refusal("[]"), has_text("is no checkpoint"));
  CHECK_THAT(refusal("{\"step\": \"x\"}"), has_text("is no checkpoint"));
  CHECK_THAT(test::io_message([&] { read_run(folder.path() / "none"); }), has_text("there is no such folder"));
}

}  // namespace iapt::test::train_checkpoint
