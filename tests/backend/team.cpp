// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/team.hpp"

#include <numeric>
#include <vector>

#include "iapt/backend/eigen/native_vec.hpp"
#include "iapt/backend/thrust/fixed_vec.hpp"
#include "support/catch.hpp"

namespace iapt::test::backend_team {
namespace {

template <class Team, class T>
void check_team(index_t n) {
  CAPTURE(n);
  const Team team;
  std::vector<T> x(n), visits(n + 1);
  for (index_t i = 0; i < n; ++i) x[i] = T(i * 37 % 101) - 50;
  const row<const T> in{x.data()};
  const row<T> count{visits.data()};
  team.for_each(n, [&](auto j) { count[j] = count(j) + T(1); });
  CHECK(std::accumulate(visits.begin(), visits.end(), T(0)) == T(n));
  CHECK(std::count(visits.begin(), visits.end() - 1, T(1)) == n);
  CHECK(team.sum(n, [&](auto j) { return in[j]; }) == std::accumulate(x.begin(), x.end(), T(0)));
  CHECK(team.max(n, T(-60), [&](auto j) { return in[j]; }) == (n ? *std::max_element(x.begin(), x.end()) : T(-60)));
  CHECK(team.max(n, T(60), [&](auto j) { return in[j]; }) == T(60));
  int times = 0;
  team.single([&] { ++times; });
  CHECK(times == 1);
}

}  // namespace

TEMPLATE_TEST_CASE("a team visits every column once; its sums and maxima", "[backend]", float, double) {
  for (index_t n : {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100}) {
    check_team<serial_team<TestType, native_vec<TestType>>, TestType>(n);
    check_team<serial_team<TestType, TestType>, TestType>(n);
    check_team<serial_team<TestType, fixed_vec<TestType, 4>>, TestType>(n);
  }
}

}  // namespace iapt::test::backend_team
