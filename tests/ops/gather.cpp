// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/gather.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_gather {
namespace {

auto rows_of(const std::vector<std::int32_t>& rows) {
  return [rows](const auto& x) { return gather(x, row_indices(x.backend(), rows)); };
}
auto reference_of(const std::vector<std::int32_t>& rows) {
  return [rows](const auto& x) {
    host_array<2> y({index_t(rows.size()), x.size(1)});
    for (index_t i = 0; i < y.size(0); ++i)
      for (index_t j = 0; j < y.size(1); ++j) y(i, j) = x(rows[i], j);
    return y;
  };
}

}  // namespace

TEST_CASE("gather", "[ops]") {
  const std::vector<std::int32_t> few{4, 0, 4, 2, 4};
  check_operation(rows_of(few), reference_of(few), random({6, 33}));
  check_gradient(rows_of(few), random({6, 9}));
  std::vector<std::int32_t> many(300);
  random_stream stream(3);
  for (auto& row : many) row = std::int32_t(stream.below(50));
  check_operation(rows_of(many), reference_of(many), random({50, 70}));
}

TEST_CASE("gather of nothing", "[ops]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = tracked<float>(backend, random({3, 4}));
  const auto y = t(gather(x, row_indices(backend, {})));
  CHECK(y.shape() == extents<2>{0, 4});
  t.backward(y, y);
  CHECK(values_of(x.gradient()) == std::vector<double>(12));
}

TEST_CASE("gather: a row that is not there", "[ops]") {
  CHECK(shape_message(rows_of({0, 3}), random({3, 4})) == "gather: row 3 of (3, 4)");
  CHECK(shape_message(rows_of({-1}), random({3, 4})) == "gather: row -1 of (3, 4)");
}

}  // namespace iapt::test::ops_gather
