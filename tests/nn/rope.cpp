// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/nn/rope.hpp"

#include "support/check.hpp"

namespace iapt::test::nn_rope {
namespace {

using kind = rope_options::kind;

}  // namespace

TEST_CASE("rotary frequencies by hand", "[nn]") {
  CHECK(difference(rope_frequencies(8, {}), {1, 0.1, 0.01, 0.001}) <= 1e-15);
  CHECK(difference(rope_frequencies(4, {.theta = 256}), {1, 1.0 / 16}) <= 1e-15);
  CHECK(difference(rope_frequencies(6, {.theta = 1e6}), {1, 0.01, 0.0001}) <= 1e-15);
  // A factor without a kind is not used.
  CHECK(difference(rope_frequencies(4, {.theta = 256, .factor = 4}), {1, 1.0 / 16}) <= 1e-15);
}

TEST_CASE("linearly stretched frequencies by hand", "[nn]") {
  CHECK(difference(rope_frequencies(8, {.scaling = kind::linear, .factor = 4}), {0.25, 0.025, 0.0025, 0.00025}) <=
        1e-15);
}

TEST_CASE("frequencies stretched like Llama 3's, by hand", "[nn]") {
  // 100, 10, 1 and 0.1 waves fit into the first training length. With bounds of 4 and 16 waves the first is kept, the
  // second is half kept and half divided by 8, the others are divided.
  const rope_options options{.scaling = kind::llama3,
                             .factor = 8,
                             .low_frequency_factor = 4,
                             .high_frequency_factor = 16,
                             .original_positions = 200 * std::numbers::pi};
  CHECK(difference(rope_frequencies(8, options), {1, 0.05625, 0.00125, 0.000125}) <= 1e-15);
}

TEST_CASE("Llama 3.1's frequencies, told by wavelengths", "[nn]") {
  const rope_options options{.theta = 500000, .scaling = kind::llama3, .factor = 8};  // the rest is its own
  const auto found = rope_frequencies(128, options);
  std::vector<double> expected;
  int kept = 0, divided = 0;
  for (int j = 0; j < 64; ++j) {
    const double f = std::pow(500000, -j / 64.0), length = 2 * std::numbers::pi / f;
    const double smooth = (8192 / length - 1) / 3;
    if (length < 8192 / 4.0)
      expected.push_back(f), ++kept;
    else if (length > 8192)
      expected.push_back(f / 8), ++divided;
    else
      expected.push_back((1 - smooth) * f / 8 + smooth * f);
  }
  REQUIRE(found.size() == 64);
  for (std::size_t j = 0; j < 64; ++j) CHECK(found[j] == Approx(expected[j]).epsilon(1e-12));
  CHECK(kept == 29);
  CHECK(divided == 29);
}

TEST_CASE("divisors stored in a file", "[nn]") {
  CHECK(difference(rope_frequencies(8, {.divisors = {1, 2, 4, 10}}), {1, 0.05, 0.0025, 0.0001}) <= 1e-15);
}

TEST_CASE("RoPE: cosines, then sines", "[nn]") {
  test_backend backend = with_threads(1);
  const auto cos_sin = rope_cos_sin<double>(backend, {std::numbers::pi / 2, std::numbers::pi / 6}, {0, 1, 4});
  CHECK(cos_sin.shape() == extents<2>{3, 4});
  const double half = std::sqrt(3) / 2;
  CHECK(difference(to_host(cos_sin), {1, 1, 0, 0,        // no turn
                                      0, half, 1, 0.5,   // a quarter, a twelfth
                                      1, -0.5, 0, half}  // four of them
                   ) <= 1e-15);
  CHECK(rope_cos_sin<double>(backend, {1, 2}, {}).shape() == extents<2>{0, 4});
}

TEST_CASE("angles are computed in double whatever the type", "[nn]") {
  test_backend backend = with_threads(1);
  const auto cos_sin = to_host(rope_cos_sin<float>(backend, {0.1}, {100003}));
  CHECK(cos_sin[0] == float(std::cos(100003 * 0.1)));
  CHECK(cos_sin[1] == float(std::sin(100003 * 0.1)));
}

}  // namespace iapt::test::nn_rope
