// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/activations.hpp"

#include "iapt/ops/arithmetic.hpp"
#include "support/check.hpp"

namespace iapt::test::ops_activations {
namespace {

double silu_of(double x) { return x / (1 + std::exp(-x)); }
double gelu_of(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

TEST_CASE("silu", "[ops]") {
  check_values(silu, {-2, 0, 3}, {-0.238405844, 0, 2.857722381});
  check_operation(silu, each(silu_of), random({7, 33}, 1, 4));
  check_operation(silu, each(silu_of), random({9, 1031}, 1, 4));
  check_gradient(silu, random({7, 33}));
}

TEST_CASE("gelu", "[ops]") {
  check_values(gelu, {-1, 0, 2}, {-0.1586552539, 0, 1.9544997361});
  check_operation(gelu, each(gelu_of), random({7, 33}, 1, 3));
  check_operation(gelu, each(gelu_of), random({9, 1031}, 1, 3));
  check_gradient(gelu, random({7, 33}));
}

TEST_CASE("relu", "[ops]") {
  check_values(relu, {-2, 0, 3}, {0, 0, 3});
  check_operation(relu, each([](double x) { return x > 0 ? x : 0; }), random({9, 1031}));
  check_gradient(relu, numbers({-3, -1, -0.5, 0.25, 1, 2, 4, -7, 9, 10, -11}));
}

TEST_CASE("tanh", "[ops]") {
  check_values(tanh_activation, {-1, 0, 0.5}, {-0.7615941560, 0, 0.4621171573});
  check_operation(tanh_activation, each([](double x) { return std::tanh(x); }), random({9, 1031}));
  check_gradient(tanh_activation, random({7, 33}));
}

TEST_CASE("a gated activation is one statement", "[ops]") {
  const auto gated = [](const auto& g, const auto& u) { return silu(g) * u; };
  check_operation(gated, each([](double g, double u) { return silu_of(g) * u; }), random({37, 300}),
                  random({37, 300}, 2));
  check_gradient(gated, random({7, 33}), random({7, 33}, 2));
}

TEST_CASE("activations far out stay finite", "[ops]") {
  for (const auto& f : {0, 1, 2}) {
    test_backend backend = with_threads(1);
    tape<test_backend> t(backend);
    const auto x = tracked<float>(backend, numbers({-1e4, -200, -90, 0, 90, 200, 1e4, -3e38, 3e38}));
    const auto y = f == 0 ? t(silu(x)) : f == 1 ? t(gelu(x)) : t(tanh_activation(x));
    t.backward(y, filled<float>(backend, y.shape(), 1));
    for (double v : values_of(y)) CHECK(std::isfinite(v));
    for (double v : values_of(x.gradient())) CHECK(std::isfinite(v));
  }
}

}  // namespace iapt::test::ops_activations
