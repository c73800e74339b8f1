// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/autograd/gradcheck.hpp"

#include "iapt/ops/arithmetic.hpp"
#include "support/check.hpp"

namespace iapt::test::autograd_gradcheck {
namespace {

/// y = x³ with a gradient that is wrong by a factor.
struct wrong_cube_fn {
  static constexpr auto name = "wrong_cube";
  template <class V>
  IAPT_DEVICE static V forward(V x) {
    return x * x * x;
  }
  template <class V>
  IAPT_DEVICE static auto backward(V dy, V x, V) {
    return adjoints(dy * x * x * V(3.003));
  }
};

}  // namespace

TEST_CASE("gradcheck passes what is right and measures what is wrong", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, random({5, 3}));
  CHECK(gradcheck(
            backend, [&](auto& ctx) { return ctx(x * x * x); }, x) < 1e-8);
  const double error = gradcheck(
      backend, [&](auto& ctx) { return ctx(elementwise<wrong_cube_fn>()(x)); }, x);
  CHECK(error > 0.9e-3);
  CHECK(error < 1.1e-3);
}

TEST_CASE("gradcheck sees a parameter that gets no gradient", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, random({5})), w = tracked<double>(backend, random({5}, 2));
  const auto constant = w.detached();
  CHECK(gradcheck(
            backend, [&](auto& ctx) { return ctx(x * constant); }, x, w) > 0.1);
}

TEST_CASE("gradcheck leaves parameters as they were", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, random({7}));
  const auto before = to_host(x);
  gradcheck(
      backend, [&](auto& ctx) { return ctx(x * x); }, x);
  CHECK(to_host(x) == before);
}

TEST_CASE("gradcheck of something without parameters", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, random({7}));
  const auto constant = x.detached();
  CHECK_THROWS_AS(gradcheck(
                      backend, [&](auto& ctx) { return ctx(constant * 2); }, x),
                  numeric_error);
}

}  // namespace iapt::test::autograd_gradcheck
