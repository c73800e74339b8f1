// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/segments.hpp"

#include "support/check.hpp"

namespace iapt::test::ops_segments {

TEST_CASE("bounds of spans", "[ops]") {
  test_backend backend = with_threads(1);
  CHECK(to_host(span_bounds(backend, {{0, 3}, {2, 5}}, 5, "pool")) == std::vector<std::int32_t>{0, 3, 2, 5});
  const auto message = [&](row_span s) {
    return message_of<shape_error>([&] { span_bounds(backend, {s}, 5, "pool"); });
  };
  CHECK(message({2, 2}) == "pool: rows 2 to 2 of 5; a segment needs at least one row");
  CHECK(message({3, 2}) == "pool: rows 3 to 2 of 5; a segment needs at least one row");
  CHECK(message({-1, 2}) == "pool: rows -1 to 2 of 5; a segment needs at least one row");
  CHECK(message({4, 6}) == "pool: rows 4 to 6 of 5; a segment needs at least one row");
}

}  // namespace iapt::test::ops_segments
