// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/train/gradient.hpp"

#include "support/catch.hpp"
#include "train/toy.hpp"

namespace iapt::test::train_gradient {

TEST_CASE("a batch cut into pieces has the same loss, tokens and gradient", "[train]") {
  test_backend backend = with_threads(1);
  const test::toy_model<double> model(backend);
  const auto examples = test::counting(7, 3);
  const std::vector<std::size_t> numbers{6, 0, 3, 2, 1};
  const auto gradient = [&](const batch_limits& limits) {
    const test::toy_method<double> method(backend);
    const auto found = add_gradient(backend, model, method, std::span<const example>(examples), numbers, limits);
    auto all = to_host(method.head.gradient());
    for (double d : to_host(method.scale.gradient())) all.push_back(d);
    all.push_back(found.wait()), all.push_back(double(found.tokens));
    return all;
  };
  const auto whole = gradient({});
  CHECK(whole.back() == 5 * 2 + 3 + 1 + 4 + 3 + 2 - 5);  // the last response token needs no row
  for (const batch_limits& limits : {batch_limits{.sequences = 1}, batch_limits{.sequences = 2}}) {
    const auto cut = gradient(limits);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(cut[i] == Approx(whole[i]).margin(1e-14));
  }
}

}  // namespace iapt::test::train_gradient
