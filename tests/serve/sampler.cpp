// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/sampler.hpp"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "support/check.hpp"
#include "support/model.hpp"

namespace iapt::test::serve_sampler {

namespace {

using tokens = std::vector<token_id>;

sampling_options options_of(const nlohmann::json& given) {
  sampling_options options;
  for (const auto& [name, value] : given.items()) {
    if (name == "temperature") options.temperature = value;
    if (name == "top_k") options.top_k = value;
    if (name == "top_p") options.top_p = value;
    if (name == "min_p") options.min_p = value;
    if (name == "repetition_penalty") options.repetition_penalty = value;
    if (name == "frequency_penalty") options.frequency_penalty = value;
    if (name == "presence_penalty") options.presence_penalty = value;
  }
  return options;
}

/// The tokens that a row without history leaves.
tokens kept(const sampling_options& options, const std::vector<double>& logits) {
  tokens found;
  sampler sample;
  for (const scored_token& one : sample.distribution(std::span<const double>(logits), options, {}))
    found.push_back(one.token);
  return found;
}

/// The draw for each number of generated tokens, of one row.
tokens draws(const sampling_options& options, const std::vector<double>& logits, std::size_t count) {
  sampler sample;
  tokens found;
  const tokens before(count);
  for (std::size_t n = 0; n < count; ++n)
    found.push_back(sample(std::span<const double>(logits), options, {{}, std::span(before).first(n)}));
  return found;
}

std::vector<double> random_row(std::size_t size, double deviation, std::uint64_t stream) {
  random_stream random(21, stream);
  std::vector<double> row(size);
  for (double& x : row) x = deviation * random.normal();
  return row;
}

}  // namespace

TEST_CASE("what a token is drawn from is what transformers' processors leave", "[serve]") {
  const auto reference = nlohmann::json::parse(std::ifstream(test_data("sampling.json")));
  const auto prompt = reference["prompt"].get<tokens>(), generated = reference["generated"].get<tokens>();
  REQUIRE(reference["cases"].size() > 12);
  for (const auto& one : reference["cases"]) {
    CAPTURE(one["row"].get<std::string>(), one["options"].dump());
    const auto row = reference["rows"][one["row"].get<std::string>()].get<std::vector<double>>();
    tokens ids;
    std::vector<double> values;
    sampler sample;
    for (const scored_token& k :
         sample.distribution(std::span<const double>(row), options_of(one["options"]), {prompt, generated}))
      ids.push_back(k.token), values.push_back(k.log_probability);
    CHECK(ids == one["kept"].get<tokens>());
    CHECK(difference(values, one["log_probabilities"].get<std::vector<double>>(), 1) <= 1e-12);
  }
}

TEST_CASE("a row in float is read as it stands", "[serve]") {
  const auto reference = nlohmann::json::parse(std::ifstream(test_data("sampling.json")));
  const auto row = reference["rows"]["float"].get<std::vector<double>>();
  const std::vector<float> narrow(row.begin(), row.end());
  const sampling_options options{.temperature = 0.9, .top_p = 0.8};
  sampler a, b;
  const auto wide = a.distribution(std::span<const double>(row), options, {});
  const auto& found = b.distribution(std::span<const float>(narrow), options, {});
  REQUIRE(found.size() == wide.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i].log_probability == wide[i].log_probability);
}

TEST_CASE("top-p keeps the first of equals, so a small one is greedy", "[serve]") {
  CHECK(kept({.temperature = 1, .top_p = 0.5}, {1, 1, 1, 1}) == tokens{0, 1});
  CHECK(kept({.temperature = 1, .top_p = 0.51}, {1, 1, 1, 1}) == tokens{0, 1, 2});
  CHECK(kept({.temperature = 1, .top_p = 1e-300}, {0, 3, 1, 3}) == tokens{1});
  CHECK(kept({.temperature = 1e-300, .top_p = 0.9}, {0, 3, 1, 2}) == tokens{1});
  CHECK(kept({.temperature = 1, .top_p = std::nextafter(1.0, 0.0)}, {5, 3, 1, 2}).size() == 4);
  CHECK(kept({.temperature = 1, .top_p = 1e-20}, std::vector<double>(1000, -7)) == tokens{0});
}

TEST_CASE("at temperature 0 penalties alone count", "[serve]") {
  const std::vector<double> row{0, 4, 4, 3};
  const std::span<const double> logits(row);
  sampler sample;
  CHECK(sample(logits, {}, {}) == 1);
  CHECK(kept({.top_k = 1, .top_p = 0.1, .min_p = 1}, row).size() == 4);
  const tokens one{1}, two{1, 1, 2};
  CHECK(sample(logits, {}, {one, two}) == 1);
  CHECK(sample(logits, {.repetition_penalty = 1.1}, {one, {}}) == 2);
  CHECK(sample(logits, {.repetition_penalty = 1.5}, {one, two}) == 3);
  CHECK(sample(logits, {.presence_penalty = 0.5}, {one, {}}) == 1);  // of the answer only
  CHECK(sample(logits, {.presence_penalty = 0.5}, {{}, one}) == 2);
  CHECK(sample(logits, {.frequency_penalty = 0.6}, {{}, two}) == 2);
  CHECK(sample(logits, {.frequency_penalty = 1.1}, {{}, two}) == 3);
}

TEST_CASE("draws have the frequencies of the distribution", "[serve]") {
  constexpr std::size_t count = 20000;
  const auto row = random_row(12, 1.5, 1);
  for (const sampling_options& options : {sampling_options{.temperature = 1, .seed = 5},
                                          {.temperature = 0.6, .top_k = 7, .seed = 6},
                                          {.temperature = 1.4, .top_p = 0.9, .min_p = 0.02, .seed = 7}}) {
    CAPTURE(options.seed);
    sampler sample;
    const auto expected = sample.distribution(std::span<const double>(row), options, {});
    std::vector<double> found(row.size());
    for (const token_id token : draws(options, row, count)) ++found.at(std::size_t(token));
    double square = 0, total = 0;
    for (const scored_token& one : expected) {
      const double mean = double(count) * std::exp(one.log_probability), n = found[std::size_t(one.token)];
      square += (n - mean) * (n - mean) / mean, total += n;
    }
    CHECK(total == count);  // nothing else was drawn
    const double freedom = double(expected.size() - 1);
    CHECK(square < freedom + 4 * std::sqrt(2 * freedom));
  }
}

TEST_CASE("a draw is a function of seed and position alone", "[serve]") {
  const auto row = random_row(1000, 1, 2);
  const sampling_options options{.temperature = 1, .seed = 3};
  const tokens all = draws(options, row, 64);
  CHECK(draws(options, row, 64) == all);
  CHECK(draws({.temperature = 1, .seed = 4}, row, 64) != all);
  CHECK(std::set<token_id>(all.begin(), all.end()).size() > 32);  // positions differ

  sampler resumed;  // another sampler goes on at position 40, whatever it was used for before
  const tokens before(40);
  resumed(std::span<const double>(random_row(77, 1, 9)), {.temperature = 2, .top_p = 0.5}, {});
  CHECK(resumed(std::span<const double>(row), options, {{}, before}) == all[40]);
  CHECK(resumed(std::span<const double>(row), options, {tokens{5, 6}, before}) == all[40]);

  std::vector<tokens> found(3);
  std::vector<std::thread> threads;
  for (tokens& one : found) threads.emplace_back([&] { one = draws(options, row, 64); });
  for (std::thread& thread : threads) thread.join();
  for (const tokens& one : found) CHECK(one == all);
}

TEST_CASE("the draws of a seed, once and for all", "[serve]") {
  CHECK(draws({.temperature = 1, .seed = 1}, random_row(100, 1, 3), 8) == tokens{91, 29, 52, 84, 38, 89, 70, 29});
  CHECK(draws({.temperature = 1, .top_k = 20, .top_p = 0.9, .seed = 1}, random_row(100, 1, 3), 8) ==
        tokens{70, 29, 57, 70, 38, 70, 68, 33});
}

TEST_CASE("what cannot be sampled is refused", "[serve]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const std::vector<double> row{1, 2};
  const auto refusal = [&](const sampling_options& options) {
    return message_of<error>([&] { sampler()(std::span<const double>(row), options, {}); });
  };
  CHECK(refusal({.temperature = -0.1}) == "sampling: temperature must be finite and at least 0, found -0.1");
  CHECK(refusal({.top_k = -1}) == "sampling: top_k must be at least 0, found -1");
  CHECK(refusal({.top_p = 0}) == "sampling: top_p must be over 0 and at most 1, found 0");
  CHECK(refusal({.min_p = 1.5}) == "sampling: min_p must be from 0 to 1, found 1.5");
  CHECK(refusal({.repetition_penalty = 0}) == "sampling: repetition_penalty must be finite and over 0, found 0");
  CHECK(refusal({.frequency_penalty = -3}) == "sampling: frequency_penalty must be from -2 to 2, found -3");
  CHECK(refusal({.presence_penalty = 2.1}) == "sampling: presence_penalty must be from -2 to 2, found 2.1");
  for (const double bad : {nan, inf, -inf}) {
    CHECK_THROWS_AS(sampling_options({.temperature = bad}).check(), error);
    CHECK_THROWS_AS(sampling_options({.top_p = bad}).check(), error);
    CHECK_THROWS_AS(sampling_options({.min_p = bad}).check(), error);
    CHECK_THROWS_AS(sampling_options({.repetition_penalty = bad}).check(), error);
    CHECK_THROWS_AS(sampling_options({.frequency_penalty = bad}).check(), error);
    CHECK_THROWS_AS(sampling_options({.presence_penalty = bad}).check(), error);
    for (const sampling_options& options :
         {sampling_options{}, {.temperature = 1}, {.repetition_penalty = 2}, {.temperature = 1, .top_k = 1}}) {
      const std::vector<double> broken{1, bad, 2};
      CHECK_THROWS_AS(sampler()(std::span<const double>(broken), options, {}), numeric_error);
    }
  }
  CHECK_NOTHROW(sampling_options({.top_p = 1}).check());
  CHECK_THROWS_AS(sampling_options({.top_p = 1.001}).check(), error);
  CHECK_THROWS_AS(sampling_options({.min_p = 1.001}).check(), error);
  const sampling_options penalty{.temperature = 1, .presence_penalty = 1};
  sampler sample;
  const std::vector<double> huge{-1e308, 1e308};
  const tokens outside{2}, below{-1}, first{0};
  CHECK(message_of<shape_error>([&] {
          sample(std::span<const double>(row), penalty, {{}, outside});
        }) == "sampling: token 2 was seen, but a row has 2 logits");
  CHECK_THROWS_AS(sample(std::span<const double>(row), penalty, {{}, below}), shape_error);
  CHECK_THROWS_AS(sample(std::span<const double>(), penalty, {}), shape_error);
  CHECK_THROWS_AS(sample(std::span<const double>(huge), {.repetition_penalty = 1e300}, {first, {}}), numeric_error);
  CHECK(sample(std::span<const double>(huge), {.temperature = 1}, {}) == 1);
}

TEST_CASE("sampler: a bias is added before all else", "[serve]") {
  sampler sample;
  const std::vector<float> row{1, 3, 2, -1};
  const std::span<const float> logits(row);
  const token_history none{};
  CHECK(sample(logits, {.logit_bias = {{1, -100}}}, none) == 2);
  CHECK(sample(logits, {.logit_bias = {{3, 4.5}}}, none) == 3);
  // A repetition penalty of 2 then halves 3.5 and leaves 3.
  const std::vector<token_id> seen{3};
  CHECK(sample(logits, {.repetition_penalty = 2, .logit_bias = {{3, 4.5}}}, {seen, {}}) == 1);
  const auto& drawn = sample.distribution(logits, {.temperature = 1, .logit_bias = {{0, 100}}}, none);
  CHECK(drawn[0].log_probability == Approx(0).margin(1e-12));
  CHECK(message_of<error>([&] {
          (void)sample(logits, {.logit_bias = {{1, 100.5}}}, none);
        }) == "sampling: logit_bias must be from -100 to 100, found 100.5");
  CHECK_THROWS_AS(sample(logits, {.logit_bias = {{4, 1}}}, none), shape_error);
  CHECK_FALSE(sampling_options{.logit_bias = {{1, 1}}}.greedy());
}

}  // namespace iapt::test::serve_sampler
