// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/repeat_columns.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_repeat_columns {

TEST_CASE("repeat_columns", "[ops]") {
  for (index_t times : {1, 5, 64}) {
    const auto f = [times](const auto& x) { return repeat_columns(x, times); };
    const auto reference = [times](const auto& x) {
      host_array<2> y({x.size(0), x.size(1) * times});
      for (index_t i = 0; i < y.size(0); ++i)
        for (index_t j = 0; j < y.size(1); ++j) y(i, j) = x(i, j / times);
      return y;
    };
    check_operation(f, reference, random({70, 3}));
    check_gradient(f, random({3, 4}));
  }
}

TEST_CASE("repeat_columns: not a negative number of times", "[ops]") {
  const auto f = [](const auto& x) { return repeat_columns(x, -1); };
  CHECK(shape_message(f, random({2, 3})) == "tensor: negative extent in (2, -3)");
}

}  // namespace iapt::test::ops_repeat_columns
