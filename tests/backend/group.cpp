// SPDX-License-Identifier: Apache-2.0
#include "iapt/backend/group.hpp"

#include <numeric>
#include <vector>

#include "iapt/backend/eigen/pack.hpp"
#include "iapt/backend/thrust/bundle.hpp"
#include "support/catch.hpp"

namespace iapt::test::backend_group {
namespace {

template <class Group, class T>
void check_group(index_t n) {
  CAPTURE(n);
  const Group group;
  std::vector<T> x(n), visits(n + 1);
  for (index_t i = 0; i < n; ++i) x[i] = T(i * 37 % 101) - 50;
  const row<const T> in{x.data()};
  const row<T> count{visits.data()};
  group.each(n, [&](auto j) { count[j] = count(j) + T(1); });
  CHECK(std::accumulate(visits.begin(), visits.end(), T(0)) == T(n));
  CHECK(std::count(visits.begin(), visits.end() - 1, T(1)) == n);
  CHECK(group.sum(n, [&](auto j) { return in[j]; }) == std::accumulate(x.begin(), x.end(), T(0)));
  CHECK(group.max(n, T(-60), [&](auto j) { return in[j]; }) == (n ? *std::max_element(x.begin(), x.end()) : T(-60)));
  CHECK(group.max(n, T(60), [&](auto j) { return in[j]; }) == T(60));
  int times = 0;
  group.once([&] { ++times; });
  CHECK(times == 1);
}

}  // namespace

TEMPLATE_TEST_CASE("a group visits every column once; its sums and maxima", "[backend]", float, double) {
  for (index_t n : {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100}) {
    check_group<lone_group<TestType, pack<TestType>>, TestType>(n);
    check_group<lone_group<TestType, TestType>, TestType>(n);
    check_group<lone_group<TestType, bundle<TestType, 4>>, TestType>(n);
  }
}

}  // namespace iapt::test::backend_group
