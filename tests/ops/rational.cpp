// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/rational.hpp"
#include "iapt/ops/arithmetic.hpp"

#include "iapt/ops/activations.hpp"
#include "support/check.hpp"

namespace iapt::test::ops_rational {
namespace {

const auto activation = [](const auto& x, const auto& a, const auto& b) { return rational(x, a, b); };
const auto reference = [](const auto& x, const auto& a, const auto& b) {
  auto y = x;
  for (double& v : y.values) {
    double p = 0, s = 0;
    for (index_t j = 0; j < a.size(0); ++j) p += a(j) * std::pow(v, double(j));
    for (index_t i = 0; i < b.size(0); ++i) s += b(i) * std::pow(v, double(i + 1));
    v = p / (1 + std::abs(s));
  }
  return y;
};
host_array<1> gelu_a() { return numbers({gelu_numerator.begin(), gelu_numerator.end()}); }
host_array<1> gelu_b() { return numbers({gelu_denominator.begin(), gelu_denominator.end()}); }
/// Odd and negative coefficients, so that S changes its sign: |S| in the place of S, or of each term, would show.
host_array<1> odd_a() { return numbers({0.25, -0.5, 0.375, 0.125, -0.0625, 0.03125, 0.015625}); }
host_array<1> odd_b() { return numbers({-0.75, 0.25, 0.5, -0.125, -0.0625}); }
/// Numbers of [−3, 3] that are no nearer to a root of S than 0.02, where |S| has a kink.
host_array<2> away_from_roots(index_t rows, index_t columns) {
  host_array<2> x = random({rows, columns}, 4, 1.5);
  const auto s = [b = odd_b()](double v) { return v * (b(0) + v * (b(1) + v * (b(2) + v * (b(3) + v * b(4))))); };
  for (double& v : x.values)
    while (std::abs(v) > 3 || s(v - 0.02) * s(v + 0.02) <= 0) v = v * 0.5 + 0.3;
  return x;
}

/// Beyond the clamp the derivative is 0, in a vec and behind it; what is not a number stays so.
template <class T>
void check_flat_ends() {
  const double limit = rational_fn<6, 5>::limit;
  const std::vector<double> at{limit / 2, limit + 100, -limit - 100, 1e30, -1e30, HUGE_VAL, -HUGE_VAL, NAN};
  std::vector<double> x = at;
  for (int copy = 0; copy < 4; ++copy) x.insert(x.end(), at.begin(), at.end());
  x.insert(x.end(), 3, limit + 100);
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto z = tracked<T>(backend, numbers(x));
  const auto y = t(rational(z, upload_as<T>(backend, gelu_a()), upload_as<T>(backend, gelu_b())));
  t.backward(y, filled<T>(backend, y.shape(), T(1)));
  const std::vector<double> dx = values_of(z.gradient());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(x[i]);
    if (std::isnan(x[i]))
      CHECK(std::isnan(dx[i]));
    else
      CHECK((std::abs(x[i]) > limit) == (dx[i] == 0));
  }
}
template <class Backend>
void check_flat_ends_bfloat16() {
  if constexpr (Backend::stores_bfloat16) check_flat_ends<bfloat16>();
}

}  // namespace

TEST_CASE("the fit of GELU, through the kernel that trains", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  host_array<1> grid({121});
  for (index_t i = 0; i < 121; ++i) grid(i) = -3 + double(i) * 0.05;
  const auto x = tracked<float>(backend, grid);
  const auto a = tracked<float>(backend, gelu_a()), b = tracked<float>(backend, gelu_b());
  const auto y = values_of(t(rational(x, a, b)));
  double error = 0;
  for (index_t i = 0; i < 121; ++i)
    error = std::max(error, std::abs(y[i] - 0.5 * grid(i) * std::erfc(-grid(i) / std::sqrt(2.0))));
  CHECK(error <= 1e-4);
  CHECK(error >= 8e-5);  // the digits as they are printed in docs/method.md
}

TEST_CASE("rational", "[ops]") {
  for (const auto& [rows, columns] : {std::array<index_t, 2>{1, 3}, {33, 17}, {70, 300}}) {
    CAPTURE(rows, columns);
    check_operation(activation, reference, random({rows, columns}), gelu_a(), gelu_b());
    check_operation(activation, reference, away_from_roots(rows, columns), odd_a(), odd_b());
  }
}

TEST_CASE("gradients of rational", "[ops]") {
  check_gradient(activation, away_from_roots(35, 5), odd_a(), odd_b());
  auto x = random({35, 5});  // the even set's S has its only root at 0
  for (double& v : x.values) v += v < 0 ? -0.02 : 0.02;
  check_gradient(activation, x, gelu_a(), gelu_b());
  const auto small = [](const auto& v, const auto& a, const auto& b) { return rational<2, 1>(v, a, b); };
  check_gradient(small, x, numbers({0.5, 1, -0.25}), numbers({0.75}));
}

TEST_CASE("rational inside a larger statement, with a repeated operand", "[ops]") {
  const auto f = [](const auto& x, const auto& a, const auto& b, const auto& c) { return rational(x, a, b) * c + x; };
  check_gradient(f, away_from_roots(35, 5), odd_a(), odd_b(), random({5}, 8));
}

TEST_CASE("a start with all b = 0 never moves b", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto b = tracked<float>(backend, host_array<1>({5}));
  const auto y = t(rational(upload_as<float>(backend, random({4, 9})), upload_as<float>(backend, gelu_a()), b));
  t.backward(y, y);
  CHECK(values_of(b.gradient()) == std::vector<double>(5));
}

TEST_CASE("rational far out is finite, and what is not a number stays so", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  std::vector<double> far(20, 1.0);  // vecs and a tail
  for (std::size_t at : {0, 17}) far[at] = 1e7, far[at + 1] = -1e30, far[at + 2] = HUGE_VAL;
  const auto x = tracked<float>(backend, numbers(far));
  const auto a = tracked<float>(backend, gelu_a()), b = tracked<float>(backend, gelu_b());
  const auto y = t(rational(x, a, b));
  t.backward(y, filled<float>(backend, y.shape(), 1));
  for (const auto& values : {values_of(y), values_of(x.gradient()), values_of(a.gradient()), values_of(b.gradient())})
    for (double v : values) CHECK(std::isfinite(v));
  far[3] = far[19] = NAN;
  const auto lost = values_of(t(rational(upload_as<float>(backend, numbers(far)), a, b)));
  CHECK(std::isnan(lost[3]));
  CHECK(std::isnan(lost[19]));
}

TEST_CASE("rational beyond its clamp is constant in x, and its gradients are those of the value there", "[ops]") {
  const double limit = rational_fn<6, 5>::limit;
  // Both sides of both ends, in a vec and behind it.
  std::vector<double> across(21, 1.0);
  for (std::size_t at : {0, 17}) {
    across[at] = limit - 50, across[at + 1] = limit + 50, across[at + 2] = -limit + 50, across[at + 3] = -limit - 50;
  }
  check_gradient(activation, numbers(across), odd_a(), odd_b());

  check_flat_ends<double>(), check_flat_ends<float>();
  check_flat_ends_bfloat16<test_backend>();
}

TEST_CASE("rational: coefficients of another length", "[ops]") {
  CHECK(shape_message(activation, random({2, 3}), random({6}), random({5})) == "coefficients: expected 7, found (6)");
  CHECK(shape_message(activation, random({2, 3}), random({7}), random({7})) == "coefficients: expected 5, found (7)");
}

}  // namespace iapt::test::ops_rational
