// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/ops/reduce.hpp"

#include <numeric>

#include "support/check.hpp"

namespace iapt::test::ops_reduce {
namespace {

const auto total = [](const auto& x) {
  return host_array<0>({}, {std::accumulate(x.values.begin(), x.values.end(), 0.0)});
};

}  // namespace

TEST_CASE("sum", "[ops]") {
  const auto f = [](const auto& x) { return sum(x); };
  for (index_t n : {1, 7, 64, 1001}) check_operation(f, total, random({n}));
  check_operation(f, total, random({101, 103}));
  check_gradient([](const auto& x) { return sum(x * x) * 0.5; }, random({7, 33}));
}

TEST_CASE("the sum of nothing is zero", "[ops]") {
  test_backend backend = with_threads(1);
  const inference<test_backend> ctx(backend);
  CHECK(values_of(ctx(sum(upload_as<float>(backend, random({0, 5}))))) == std::vector<double>{0});
}

}  // namespace iapt::test::ops_reduce
