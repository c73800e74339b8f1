// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/expr/lowered.hpp"

#include "iapt/ops/arithmetic.hpp"
#include "support/check.hpp"

namespace iapt::test::expr_lowered {

TEST_CASE("an operand of the statement's extents: stored, then added", "[expr]") {
  double x[] = {1, 2}, dx[] = {10, 20};
  whole_operand<double, true>::registers<double> w;
  for (bool accumulates : {false, true}) {
    const whole_operand<double, true> operand{{x}, {dx}, accumulates};
    w.eval(operand, {1}, {0});
    CHECK(w.y == 2);
    w.pull(operand, {1}, 5.0);
    CHECK(dx[1] == (accumulates ? 10 : 5));
  }
  w.pull({{x}, {nullptr}, false}, {0}, 7.0);  // a constant
  CHECK(dx[0] == 10);
}

TEST_CASE("a value that nobody reads is not read", "[expr]") {
  whole_operand<double, false>::registers<double> whole;
  whole.eval({{nullptr}, {nullptr}, false}, {100}, {0});
  spread_operand<double, false>::registers<double> spread;
  spread.eval({{nullptr}, {nullptr}}, {100}, {0});
  CHECK(whole.y == 0);
  CHECK(spread.y == 0);
}

TEST_CASE("operands that are repeated sum their adjoints over a chunk", "[expr]") {
  double x[] = {3, 4}, partial[6] = {};
  const spread_operand<double, true> operand{{x}, {partial}};
  spread_operand<double, true>::registers<double> w;
  w.open();
  w.eval(operand, {7}, {1});
  CHECK(w.y == 4);
  for (double d : {1, 2, 3}) w.pull(operand, {7}, d);
  w.close(operand, 2, 2, {1});
  CHECK(partial[5] == 6);

  double table_partial[12] = {};
  const table_operand<double, 2> table{{x}, {table_partial}};
  table_operand<double, 2>::registers<double> t;
  t.open();
  t.eval(table, {0}, {0});
  CHECK(t.y[1] == 4);
  for (double d : {1, 2}) t.pull(table, {0}, coefficient_adjoints<double, 2>{{d, 10 * d}});
  t.close(table, 1, 3, {2});  // chunk 1, three columns, column 2
  CHECK(table_partial[8] == 3);
  CHECK(table_partial[11] == 30);
}

TEST_CASE("an operation delivers nothing where nobody wants it", "[expr]") {
  double a[] = {3}, b[] = {4}, da[] = {0};
  using operand = whole_operand<double, true>;
  using product = applied_operation<multiply_fn, operand, operand>;
  product::registers<double> w;
  for (bool tracked : {false, true}) {
    const product e{{{operand{{a}, {da}, false}}, {operand{{b}, {nullptr}, false}}}, tracked};
    w.eval(e, {0}, {0});
    CHECK(w.y == 12);
    w.pull(e, {0}, 2.0);
    CHECK(da[0] == (tracked ? 8 : 0));
  }
}

}  // namespace iapt::test::expr_lowered
