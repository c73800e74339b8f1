// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/eigen/native_vec.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"

namespace iapt::test::backend_eigen_native_vec {
namespace {

/// f of a vec at every number, against g of the number; to a few units in the last place.
template <class T, class F, class G>
void check_each(const std::vector<double>& numbers, double tolerance, F f, G g) {
  for (double x : numbers) {
    CAPTURE(x);
    const native_vec<T> y = f(native_vec<T>(T(x)));
    const T expected = T(g(T(x)));
    for (int i = 0; i < native_vec<T>::width; ++i) CHECK(std::abs(y.v[i] - expected) <= tolerance * std::abs(expected));
  }
}
const std::vector<double> some{-80, -10, -3.5, -1, -0.25, 0, 1e-3, 0.5, 2, 7, 60};

}  // namespace

TEMPLATE_TEST_CASE("functions of a vec are those of its numbers", "[backend]", float, double) {
  using T = TestType;
  const double ulp = std::numeric_limits<T>::epsilon();
  check_each<T>(
      some, 4 * ulp, [](auto x) { return exp(x); }, [](T x) { return std::exp(x); });
  check_each<T>(
      some, 8 * ulp, [](auto x) { return tanh(x); }, [](T x) { return std::tanh(x); });
  check_each<T>(
      some, ulp, [](auto x) { return erf(x); }, [](T x) { return std::erf(x); });
  check_each<T>(
      some, 0, [](auto x) { return abs(x); }, [](T x) { return std::abs(x); });
  check_each<T>(
      some, 0, [](auto x) { return -x; }, [](T x) { return -x; });
  check_each<T>(
      some, 0, [](auto x) { return sign(x); }, [](T x) { return T(x > 0) - T(x < 0); });
  check_each<T>(
      some, 0, [](auto x) { return maximum(x, native_vec<T>(T(1))); }, [](T x) { return std::max(x, T(1)); });
  check_each<T>(
      some, 0, [](auto x) { return where_positive(x, native_vec<T>(T(5)), x); }, [](T x) { return x > 0 ? 5 : x; });
  check_each<T>(
      some, ulp, [](auto x) { return (x + native_vec<T>(T(2))) * x / native_vec<T>(T(3)) - x; },
      [](T x) { return (x + 2) * x / 3 - x; });
}

TEMPLATE_TEST_CASE("a vec reads and writes anywhere, and folds", "[backend]", float, double) {
  using P = native_vec<TestType>;
  std::vector<TestType> numbers(2 * P::width + 1);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = TestType(i);
  const P p = P::load(numbers.data() + 1);
  CHECK(p.sum() == TestType(P::width * (P::width + 1) / 2));
  CHECK(p.max() == TestType(P::width));
  p.store(numbers.data());
  CHECK(numbers[0] == 1);
  CHECK(numbers[P::width] == TestType(P::width));
  CHECK(P::map(p, [](TestType x) { return x * x; }).max() == TestType(P::width * P::width));
}

TEMPLATE_TEST_CASE("exp of far numbers and of what is no number", "[backend]", float, double) {
  using P = native_vec<TestType>;
  const TestType infinity = std::numeric_limits<TestType>::infinity();
  CHECK(exp(P(-infinity)).max() == 0);  // exactly: a masked score must let nothing through
  CHECK(exp(P(TestType(-1e4))).max() == 0);
  CHECK(exp(P(infinity)).max() == infinity);
  CHECK(std::isnan(exp(P(TestType(NAN))).v[0]));
}

}  // namespace iapt::test::backend_eigen_native_vec
