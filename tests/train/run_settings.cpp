// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/train/run_settings.hpp"

#include "support/catch.hpp"
#include "train/toy.hpp"

namespace iapt::test::train_run_settings {

TEST_CASE("a fingerprint changes with every token and every boundary", "[train]") {
  const auto examples = test::counting(5, 1);
  const std::string start = fingerprint(examples);
  CHECK(start == fingerprint(test::counting(5, 1)));
  CHECK(start.size() == 16);
  auto changed = examples;
  ++changed[4].response.back();
  CHECK(fingerprint(changed) != start);
  changed = examples;  // the same tokens, cut elsewhere
  changed[2].instruction.push_back(changed[2].response.front());
  changed[2].response.erase(changed[2].response.begin());
  CHECK(fingerprint(changed) != start);
}

TEST_CASE("settings hold what results depend on", "[train]") {
  const auto examples = test::counting(5, 1);
  const auto of = [&](const train_options& o) { return run_settings(o, examples, {}); };
  const auto start = of({});
  CHECK(of({.seed = 1}) != start);
  CHECK(of({.micro_batch = {.tokens = 9}}) != start);
  CHECK(of({.optimizer = {.coefficients = group_settings{.learning_rate = 7}}}) != start);
  CHECK(of({.bilevel = true}) != start);
  CHECK(of({.subject = {{"model", "another"}}}) != start);
  CHECK(of({.resume = true}) == start);
}

}  // namespace iapt::test::train_run_settings
