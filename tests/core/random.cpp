// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/core/random.hpp"

#include <set>

#include "support/check.hpp"

namespace iapt::test::core_random {

// The generator's known answers, as its authors publish them with their code (Random123, kat_vectors).
TEST_CASE("philox: known answers", "[core]") {
  using words = random_words;
  STATIC_REQUIRE(philox(0, 0, 0) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint64_t ones = ~std::uint64_t(0);
  CHECK(philox(ones, ones, ones) == words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88) ==
        words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("streams are reproducible and differ by seed and by stream", "[core]") {
  const auto draw = [](random_stream stream) {
    std::vector<std::uint64_t> words(100);
    for (auto& word : words) word = stream.bits();
    return words;
  };
  CHECK(draw(random_stream(7, 1)) == draw(random_stream(7, 1)));
  std::set<std::uint64_t> all;
  for (const auto& words : {draw(random_stream(7, 1)), draw(random_stream(7, 2)), draw(random_stream(8, 1))})
    all.insert(words.begin(), words.end());
  CHECK(all.size() == 300);
}

TEST_CASE("uniform numbers stay inside, fill and balance (0, 1)", "[core]") {
  STATIC_REQUIRE(unit_number(0) == 0x1p-53);
  STATIC_REQUIRE(unit_number(~std::uint64_t(0)) == 1 - 0x1p-53);
  random_stream stream(3);
  double total = 0, least = 1, greatest = 0;
  for (int i = 0; i < 100000; ++i) {
    const double u = stream.uniform();
    total += u, least = std::min(least, u), greatest = std::max(greatest, u);
  }
  CHECK(least > 0);
  CHECK(greatest < 1);
  CHECK(least < 1e-3);
  CHECK(greatest > 1 - 1e-3);
  CHECK(std::abs(total / 100000 - 0.5) < 5 / std::sqrt(12e5));
}

TEST_CASE("below(n) favours nobody", "[core]") {
  random_stream stream(4);
  std::vector<int> hits(7);
  for (int i = 0; i < 70000; ++i) ++hits.at(stream.below(7));
  for (int n : hits) CHECK(std::abs(n - 10000) < 500);
  CHECK(stream.below(1) == 0);
  const std::uint64_t much = 3ull << 62;  // a quarter of all words must be drawn again
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += stream.below(much) < much / 3;
  CHECK(std::abs(low - 10000) < 500);
}

TEST_CASE("normal numbers have the moments of the normal distribution", "[core]") {
  random_stream stream(5);
  double sum = 0, squares = 0, fourth = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double z = stream.normal();
    sum += z, squares += z * z, fourth += z * z * z * z;
  }
  CHECK(std::abs(sum / n) < 0.012);
  CHECK(std::abs(squares / n - 1) < 0.016);
  CHECK(std::abs(fourth / n - 3) < 0.12);
}

TEST_CASE("random and constant tensors", "[core]") {
  test_backend backend = with_threads(1);
  const auto one = random_normal<float>(backend, extents<2>{3, 5}, 0.1, random_stream(1));
  const auto again = random_normal<float>(backend, extents<2>{3, 5}, 0.1, random_stream(1));
  CHECK(to_host(one) == to_host(again));
  const auto wide = random_normal<double>(backend, extents<2>{3, 5}, 1, random_stream(1));
  CHECK(difference(values_of(one), values_of(wide)) > 0.5);
  auto scaled = values_of(wide);
  for (double& v : scaled) v *= 0.1;
  CHECK(difference(values_of(one), scaled) < 1e-7);
  CHECK(to_host(filled(backend, extents<1>{2}, 3.f)) == std::vector<float>{3, 3});
}

}  // namespace iapt::test::core_random
