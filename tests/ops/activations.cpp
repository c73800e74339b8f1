// SPDX-License-Identifier: Apache-2.0
#include "iapt/ops/activations.hpp"

#include "iapt/ops/arithmetic.hpp"
#include "support/check.hpp"

namespace iapt::test {
namespace {

double silu_of(double x) { return x / (1 + std::exp(-x)); }
double gelu_of(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

TEMPLATE_LIST_TEST_CASE("silu", "[ops]", all_backends) {
  check_values<TestType>(silu, {-2, 0, 3}, {-0.238405844, 0, 2.857722381});
  check_operation<TestType>(silu, each(silu_of), random({7, 33}, 1, 4));
  check_operation<TestType>(silu, each(silu_of), random({9, 1031}, 1, 4));
  check_gradient<TestType>(silu, random({7, 33}));
}

TEMPLATE_LIST_TEST_CASE("gelu", "[ops]", all_backends) {
  check_values<TestType>(gelu, {-1, 0, 2}, {-0.1586552539, 0, 1.9544997361});
  check_operation<TestType>(gelu, each(gelu_of), random({7, 33}, 1, 3));
  check_operation<TestType>(gelu, each(gelu_of), random({9, 1031}, 1, 3));
  check_gradient<TestType>(gelu, random({7, 33}));
}

TEMPLATE_LIST_TEST_CASE("relu", "[ops]", all_backends) {
  check_values<TestType>(relu, {-2, 0, 3}, {0, 0, 3});
  check_operation<TestType>(relu, each([](double x) { return x > 0 ? x : 0; }), random({9, 1031}));
  check_gradient<TestType>(relu, numbers({-3, -1, -0.5, 0.25, 1, 2, 4, -7, 9, 10, -11}));
}

TEMPLATE_LIST_TEST_CASE("tanh", "[ops]", all_backends) {
  check_values<TestType>(tanh_activation, {-1, 0, 0.5}, {-0.7615941560, 0, 0.4621171573});
  check_operation<TestType>(tanh_activation, each([](double x) { return std::tanh(x); }), random({9, 1031}));
  check_gradient<TestType>(tanh_activation, random({7, 33}));
}

TEMPLATE_LIST_TEST_CASE("a gated activation is one statement", "[ops]", all_backends) {
  const auto gated = [](const auto& g, const auto& u) { return silu(g) * u; };
  check_operation<TestType>(gated, each([](double g, double u) { return silu_of(g) * u; }), random({37, 300}),
                            random({37, 300}, 2));
  check_gradient<TestType>(gated, random({7, 33}), random({7, 33}, 2));
}

TEMPLATE_LIST_TEST_CASE("activations far out stay finite", "[ops]", all_backends) {
  for (const auto& f : {0, 1, 2}) {
    TestType backend = with_threads<TestType>(1);
    tape<TestType> t(backend);
    const auto x = tracked<float>(backend, numbers({-1e4, -200, -90, 0, 90, 200, 1e4, -3e38, 3e38}));
    const auto y = f == 0 ? t(silu(x)) : f == 1 ? t(gelu(x)) : t(tanh_activation(x));
    t.backward(y, filled<float>(backend, y.shape(), 1));
    for (double v : values_of(y)) CHECK(std::isfinite(v));
    for (double v : values_of(x.gradient())) CHECK(std::isfinite(v));
  }
}

}  // namespace iapt::test
