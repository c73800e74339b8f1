// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/expr/vec_index.hpp"

#include <type_traits>

#include "iapt/backend/eigen/native_vec.hpp"
#include "support/catch.hpp"

namespace iapt::test::expr_vec_index {

TEST_CASE("a row reads and writes one element or a vec of neighbours", "[expr]") {
  float numbers[40];
  for (int i = 0; i < 40; ++i) numbers[i] = float(i);
  const row<float> x{numbers};
  const vec_index<float> one{3};
  const vec_index<native_vec<float>> some{5};
  CHECK(x(one) == 3);
  CHECK(x(some).sum() == native_vec<float>::width * 5 + native_vec<float>::width * (native_vec<float>::width - 1) / 2);
  x[one] = 50.f;
  x[some] = native_vec<float>(7.f);
  CHECK(numbers[3] == 50);
  CHECK(numbers[4] == 4);
  CHECK(numbers[5] == 7);
  CHECK(numbers[4 + native_vec<float>::width] == 7);
  CHECK(numbers[5 + native_vec<float>::width] == 5 + native_vec<float>::width);
  const row<const float> constant{numbers};
  STATIC_REQUIRE(std::is_same_v<decltype(constant[one]), float>);
}

TEST_CASE("a list holds values of any types, two of the same type too", "[expr]") {
  const list<int, double, int> values{{1}, {2.5}, {3}};
  CHECK(at<0>(values) == 1);
  CHECK(at<1>(values) == 2.5);
  CHECK(at<2>(values) == 3);
  CHECK(values.apply([](int a, double b, int c) { return a + b + c; }) == 6.5);
  STATIC_REQUIRE(std::is_trivially_copyable_v<list<int, double, int>>);  // kernels take it by value
  const auto d = adjoints(1.f, 2.0);
  CHECK(at<0>(d) == 1.f);
  CHECK(at<1>(d) == 2.0);
}

}  // namespace iapt::test::expr_vec_index
