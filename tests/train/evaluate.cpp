// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/train/evaluate.hpp"

#include "support/catch.hpp"
#include "train/toy.hpp"

namespace iapt::test::train_evaluate {

TEST_CASE("the loss is the mean over response tokens, whatever goes through the model at once", "[train]") {
  test_backend backend = with_threads(1);
  const test::toy_model<double> model(backend);
  const test::toy_method<double> method(backend);
  const auto examples = test::counting(9, 3);
  const auto all = evaluate(backend, model, method, std::span<const example>(examples));
  REQUIRE(all.examples.size() == 9);
  // By hand: softmax of the row of the token before.
  const auto e = to_host(model.embedding), w = to_host(method.head);
  double sum = 0;
  index_t tokens = 0;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    double one = 0;
    token_id before = examples[i].instruction.back();
    for (token_id t : examples[i].response) {
      std::vector<double> logits(test::toy_vocabulary);
      double total = 0;
      for (index_t v = 0; v < test::toy_vocabulary; ++v) {
        for (index_t d = 0; d < test::toy_width; ++d)
          logits[v] += e[before * test::toy_width + d] * w[d * test::toy_vocabulary + v];
        total += std::exp(logits[v]);
      }
      one += std::log(total) - logits[t];
      before = t, ++tokens;
    }
    CHECK(all.examples[i].sum == Approx(one).epsilon(1e-12));
    CHECK(all.examples[i].tokens == index_t(examples[i].response.size()));
    sum += one;
  }
  CHECK(all.loss == Approx(sum / double(tokens)).epsilon(1e-12));
  CHECK(all.tokens == tokens);
  for (const batch_limits& limits : {batch_limits{.sequences = 1}, batch_limits{.tokens = 7}, batch_limits{}})
    CHECK(evaluate(backend, model, method, std::span<const example>(examples), limits).loss ==
          Approx(all.loss).epsilon(1e-12));
}

TEST_CASE("the choice is the one of the greatest summed likelihood", "[train]") {
  test_backend backend = with_threads(1);
  const test::toy_model<double> model(backend);
  const test::toy_method<double> method(backend);
  std::vector<choice_example> questions;
  for (token_id t = 0; t < 6; ++t)
    questions.push_back(
        {.instruction = {t}, .choices = {{token_id(t + 1), 10}, {3, 4, 5, 6, 7, 10}, {10}}, .answer = 2});
  const auto found = evaluate_choices(backend, model, method, std::span<const choice_example>(questions));
  // The start is close to uniform, so the shortest answer is the likeliest of all.
  CHECK(found.chosen == std::vector<std::size_t>(6, 2));
  CHECK(found.accuracy == 1);
  CHECK(found.tokens == 6);
  double right = 0;
  for (const auto& q : questions) {
    const std::vector<example> one{{.instruction = q.instruction, .response = q.choices[2]}};
    right += evaluate(backend, model, method, std::span<const example>(one)).loss;
  }
  CHECK(found.loss == Approx(right / 6));
  questions[0].answer = 0, questions[1].answer = 1;
  CHECK(evaluate_choices(backend, model, method, std::span<const choice_example>(questions)).accuracy ==
        Approx(4.0 / 6));
}

TEST_CASE("a model that has diverged is not given a loss", "[train]") {
  test_backend backend = with_threads(1);
  const test::toy_model<double> model(backend);
  const test::toy_method<double> method(backend);
  auto values = to_host(method.head);
  values[0] = std::numeric_limits<double>::quiet_NaN();
  upload(method.head, values);
  const auto examples = test::counting(3, 3);
  CHECK_THROWS_AS(evaluate(backend, model, method, std::span<const example>(examples)), numeric_error);
}

}  // namespace iapt::test::train_evaluate
