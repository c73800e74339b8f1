// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/argmax.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_argmax {
namespace {

template <class T>
std::vector<std::int32_t> found(const host_array<2>& x) {
  test_backend backend = with_threads(2);
  return row_argmax(upload_as<T>(backend, x));
}

}  // namespace

TEST_CASE("the place of each row's greatest number", "[ops]") {
  for (index_t columns : {1, 2, 15, 16, 17, 33, 1000}) {
    CAPTURE(columns);
    const auto x = random({7, columns}, std::uint64_t(columns));
    std::vector<std::int32_t> expected;
    for (index_t r = 0; r < 7; ++r) {
      const auto row = x.values.begin() + r * columns;
      expected.push_back(std::int32_t(std::max_element(row, row + columns) - row));
    }
    CHECK(found<float>(x) == expected);
    CHECK(found<double>(x) == expected);
  }
}

TEST_CASE("of equal numbers the first; a number that is not finite is told", "[ops]") {
  std::vector<double> values(4 * 40, -3);
  values[17] = values[18] = values[39] = -1;
  values[40 + 5] = NAN;
  values[80 + 39] = HUGE_VAL;
  CHECK(found<float>(host_array<2>({4, 40}, values)) == std::vector<std::int32_t>{17, -1, -1, 0});
  CHECK(found<float>(host_array<2>({0, 3})).empty());
}

TEST_CASE("argmax of rows of nothing", "[ops]") {
  CHECK(message_of<shape_error>([] {
          found<float>(host_array<2>({2, 0}));
        }) == "argmax: rows of (2, 0); a row must have from 1 to 2^24 numbers");
}

}  // namespace iapt::test::ops_argmax
