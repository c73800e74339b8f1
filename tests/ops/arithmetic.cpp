// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/arithmetic.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_arithmetic {

TEST_CASE("sums, differences and products", "[ops]") {
  const auto f = [](const auto& a, const auto& b, const auto& c) { return (a + b) * c - a * 2 + 3 - b * c; };
  const auto reference = each([](double a, double b, double c) { return (a + b) * c - a * 2 + 3 - b * c; });
  check_operation(f, reference, random({7, 33}, 1), random({7, 33}, 2), random({7, 33}, 3));
  check_operation(f, reference, random({10001}, 1), random({10001}, 2), random({10001}, 3));
  check_gradient(f, random({7, 33}, 1), random({7, 33}, 2), random({7, 33}, 3));
}

TEST_CASE("negation, and numbers on the left", "[ops]") {
  check_values([](const auto& x) { return 5 - (-x) * 3; }, {-2, 0, 7}, {-1, 5, 26});
  check_gradient([](const auto& x) { return 5 - (-x) * 3; }, random({3, 5}));
}

TEST_CASE("an operand of lower rank is repeated over rows", "[ops]") {
  const auto f = [](const auto& x, const auto& b) { return x * b + b; };
  const auto reference = [](const auto& x, const auto& b) {
    auto y = x;
    for (index_t i = 0; i < x.size(0); ++i)
      for (index_t j = 0; j < x.size(1); ++j) y(i, j) = x(i, j) * b(j) + b(j);
    return y;
  };
  // Rows: fewer than a chunk, a chunk, one more; columns: no multiple of a vec, more than a block of a loop.
  for (index_t rows : {1, 31, 32, 33, 100})
    for (index_t columns : {1, 17, 64}) check_operation(f, reference, random({rows, columns}), random({columns}, 2));
  check_operation(f, reference, random({70, 2500}), random({2500}, 2));
  check_gradient(f, random({35, 9}), random({9}, 2));
}

TEST_CASE("one tensor in several places of a statement", "[ops]") {
  check_gradient([](const auto& x) { return x * x * x + x; }, random({5, 9}));
  check_gradient([](const auto& x) { return x.slice(0, 3) * x.slice(3, 6) - x.slice(1, 4); }, random({6, 7}));
  check_gradient([](const auto& x) { return x * x.slice(2, 3).flat() + x.slice(0, 1).flat(); }, random({6, 7}));
  check_gradient([](const auto& b) { return b * b.reshape(extents<2>{1, b.size()}); }, random({7}));
}

TEST_CASE("extents of a statement must agree", "[ops]") {
  const auto add = [](const auto& a, const auto& b) { return a + b; };
  CHECK(shape_message(add, random({2, 3}), random({2, 4})) == "add: extents differ: (2, 3) in a statement of (2, 4)");
  CHECK(shape_message(add, random({2, 3}), random({2})) == "add: extents differ: (2) in a statement of (2, 3)");
  const auto two = [](const auto& a, const auto& b, const auto& c) { return a * b + c; };
  CHECK(shape_message(two, random({2, 3, 4}), random({4}), random({3, 4})) ==
        "add: extents differ: (3, 4) in a statement of (2, 3, 4)");
}

}  // namespace iapt::test::ops_arithmetic
