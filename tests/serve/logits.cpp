// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/serve/logits.hpp"

#include <limits>

#include "iapt/core/bfloat16.hpp"
#include "iapt/core/random.hpp"
#include "support/check.hpp"

namespace iapt::test::serve_logits {

namespace {

template <class T>
std::span<const T> row(const std::vector<T>& values) {
  return values;
}

}  // namespace

TEST_CASE("the likeliest token is the first of equals, on the host and where the logits lie", "[serve]") {
  test_backend backend = with_threads(1);
  CHECK(likeliest(row<float>({-3, 2, 2, 1})) == 1);
  CHECK(likeliest(row<double>({-3})) == 0);
  CHECK(likeliest(row<bfloat16>({bfloat16(1.f), bfloat16(2.f), bfloat16(2.f)})) == 1);
  CHECK(likeliest(from_host(backend, extents<2>{2, 3}, std::vector<float>{0, 7, 7, 5, 1, 5})) ==
        std::vector<token_id>{1, 0});
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    CHECK_THROWS_AS(likeliest(row<float>({1, bad})), numeric_error);
    CHECK_THROWS_AS(likeliest(from_host(backend, extents<2>{1, 2}, std::vector<float>{1, bad})), numeric_error);
    CHECK_THROWS_AS(log_probabilities(row<float>({1, bad}), 0, 0), numeric_error);
  }
  CHECK_THROWS_AS(likeliest(row<float>({})), shape_error);
}

TEST_CASE("log-probabilities are the logarithm of the softmax, likeliest first", "[serve]") {
  const std::vector<double> logits{1, 3, -2, 3, 0.5};
  double sum = 0;
  for (const double x : logits) sum += std::exp(x);
  const auto found = log_probabilities(row(logits), 4, 3);
  CHECK(found.chosen == Approx(0.5 - std::log(sum)).epsilon(1e-14));
  REQUIRE(found.top.size() == 3);
  CHECK(found.top[0].token == 1);
  CHECK(found.top[1].token == 3);  // of equals the first
  CHECK(found.top[2].token == 0);
  for (const scored_token& one : found.top)
    CHECK(one.log_probability == Approx(logits[std::size_t(one.token)] - std::log(sum)).epsilon(1e-14));
  CHECK(log_probabilities(row(logits), 0, 0).top.empty());
  CHECK(log_probabilities(row(logits), 0, 20).top.size() == 5);
}

TEST_CASE("the likeliest tokens are those of a full sort", "[serve]") {
  random_stream random(4);
  std::vector<float> logits(3000);
  for (float& x : logits) x = float(std::round(8 * random.normal()));  // many are equal
  std::vector<scored_token> all;
  for (std::size_t v = 0; v < logits.size(); ++v) all.push_back({token_id(v), double(logits[v])});
  std::sort(all.begin(), all.end(), likelier);
  const auto found = log_probabilities(row(logits), 7, most_alternatives);
  REQUIRE(found.top.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(found.top[i].token == all[i].token);
}

TEST_CASE("log-probabilities of large and of far logits are exact", "[serve]") {
  const auto large = log_probabilities(row<double>({1000, 1000}), 1, 1);  // exp(1000) is no number
  CHECK(large.chosen == Approx(-std::log(2.0)).epsilon(1e-15));
  CHECK(log_probabilities(row<double>({0, -1e5}), 1, 0).chosen == -1e5);  // exp(-1e5) is 0
  CHECK(log_probabilities(row<double>({30, -30}), 0, 0).chosen == Approx(-std::exp(-60.0)).margin(1e-16));
}

TEST_CASE("log-probabilities of what is not there are refused", "[serve]") {
  const std::vector<float> logits{1, 2};
  CHECK(message_of<shape_error>([&] { log_probabilities(row(logits), 2, 0); }) ==
        "log_probabilities: token 2 in a row of 2");
  CHECK_THROWS_AS(log_probabilities(row(logits), -1, 0), shape_error);
  CHECK(message_of<shape_error>([&] { log_probabilities(row(logits), 0, 21); }) ==
        "log_probabilities: from 0 to 20 alternatives can be listed, not 21");
  CHECK_THROWS_AS(log_probabilities(row(logits), 0, -1), shape_error);
}

}  // namespace iapt::test::serve_logits
