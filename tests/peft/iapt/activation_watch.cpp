// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda
#include "iapt/peft/iapt/activation_watch.hpp"

#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::peft_iapt_activation_watch {

TEST_CASE("a watch sees the arguments of the activations and how far their coefficients moved", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  auto method = make_iapt<key_value_generator<double, test_backend>>(
      lm, {.soft_tokens = 2, .bottleneck = 4, .start = prompt_start::random});
  packed_batch batch;
  batch.add(small_tokens(7, 1), small_tokens(3, 2));
  inference<test_backend> run(backend);

  activation_watch watch(method);
  lm(run, batch, method);  // not watched
  watch.begin();
  lm(run, batch, method);
  const activation_report before = watch.end();
  CHECK(before.moved == 0);
  CHECK(before.least < 0);
  CHECK(before.greatest > before.least);

  std::vector<double> all;
  method.watch_summary = [&](int, const auto& z) {
    for (double x : to_host(z)) all.push_back(x);
  };
  lm(run, batch, method);
  CHECK(before.least == *std::min_element(all.begin(), all.end()));
  CHECK(before.greatest == *std::max_element(all.begin(), all.end()));

  auto& numerator = method.generators[1].activation.numerator;
  auto values = to_host(numerator);
  values[3] -= 0.25;
  upload(numerator, values);
  watch.begin();
  CHECK(watch.end().moved == Approx(0.25));
  CHECK(!method.watch_summary);
}

}  // namespace iapt::test::peft_iapt_activation_watch
