// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/data/batches.hpp"

#include <set>

#include "support/catch.hpp"

namespace iapt::test::data_batches {
namespace {
std::vector<example> some_examples(std::size_t count) {
  std::vector<example> all;
  for (std::size_t i = 0; i < count; ++i)
    all.push_back(
        {.instruction = std::vector<token_id>(1 + i % 3, token_id(i)), .response = {token_id(i), 99}, .line = i + 1});
  return all;
}
}  // namespace

TEST_CASE("an order is a permutation, and the same on every machine", "[data]") {
  const auto order = shuffled(1000, 7, 1);
  CHECK(std::set<std::size_t>(order.begin(), order.end()).size() == 1000);
  CHECK(order == shuffled(1000, 7, 1));
  CHECK(order != shuffled(1000, 7, 2));
  CHECK(order != shuffled(1000, 8, 1));
  CHECK(shuffled(8, 0, 0) == std::vector<std::size_t>{4, 6, 2, 0, 1, 3, 7, 5});
  CHECK(shuffled(0, 0, 0).empty());
}

TEST_CASE("every place is as likely for every example", "[data]") {
  std::vector<int> counts(5 * 5);
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    const auto order = shuffled(5, seed, 0);
    for (std::size_t i = 0; i < 5; ++i) ++counts[i * 5 + order[i]];
  }
  for (int count : counts) CHECK(std::abs(count - 1000) < 150);  // over five standard deviations
}

TEST_CASE("each epoch has every example once, and any step can be found directly", "[data]") {
  batch_order order(10, 4, 3);
  REQUIRE(order.per_epoch() == 3);
  std::vector<std::vector<std::size_t>> batches;
  for (index_t step = 0; step < 6; ++step) batches.push_back(order(step));
  for (int epoch : {0, 1}) {
    std::set<std::size_t> seen;
    for (int k = 0; k < 3; ++k) seen.insert(batches[epoch * 3 + k].begin(), batches[epoch * 3 + k].end());
    CHECK(seen.size() == 10);
    CHECK(batches[epoch * 3 + 2].size() == 2);
  }
  CHECK(std::vector(batches.begin(), batches.begin() + 3) != std::vector(batches.begin() + 3, batches.end()));
  for (index_t step : {4, 0, 5, 2}) CHECK(batch_order(10, 4, 3)(step) == batches[std::size_t(step)]);
  CHECK(order(1) == batches[1]);
  CHECK(batch_order(10, 4, 3, 1)(0) != batches[0]);
  CHECK_THROWS_AS(batch_order(0, 4, 3), error);
  CHECK_THROWS_AS(batch_order(4, 0, 3), error);
}

TEST_CASE("a batch is cut into pieces within the limits, in order", "[data]") {
  const auto examples = some_examples(7);  // lengths 3 4 5 3 4 5 3
  const std::vector<std::size_t> all{0, 1, 2, 3, 4, 5, 6};
  const auto sizes = [&](const batch_limits& limits) {
    std::vector<std::size_t> found;
    std::vector<token_id> targets;
    for (const auto& piece : pack_within(examples, all, limits)) {
      found.push_back(piece.sequences.size());
      targets.insert(targets.end(), piece.targets.begin(), piece.targets.end());
    }
    CHECK(targets == pack_examples(examples, all).targets);
    return found;
  };
  CHECK(sizes({}) == std::vector<std::size_t>{7});
  CHECK(sizes({.sequences = 3}) == std::vector<std::size_t>{3, 3, 1});
  CHECK(sizes({.tokens = 8}) == std::vector<std::size_t>{2, 2, 1, 2});
  CHECK(sizes({.tokens = 1}) == std::vector<std::size_t>{1, 1, 1, 1, 1, 1, 1});
  CHECK(sizes({.responses = 4}) == std::vector<std::size_t>{2, 2, 2, 1});
  CHECK(pack_within(examples, {}, {}).empty());
}

TEST_CASE("a loop of one's own sees every example in each epoch", "[data]") {
  const auto examples = some_examples(5);
  std::vector<std::size_t> sizes;
  std::multiset<token_id> firsts;
  for (const packed_batch& batch : shuffled_batches(examples, {.size = 2, .epochs = 2, .seed = 1})) {
    sizes.push_back(batch.sequences.size());
    for (const auto& s : batch.sequences) firsts.insert(batch.tokens[std::size_t(s.begin)]);
  }
  CHECK(sizes == std::vector<std::size_t>{2, 2, 1, 2, 2, 1});
  CHECK(firsts == std::multiset<token_id>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4});
}

}  // namespace iapt::test::data_batches
