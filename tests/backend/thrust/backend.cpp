// SPDX-License-Identifier: Apache-2.0
// Backends: thrust_cpp, thrust_omp
// What the backends on Thrust share: loops over more than one piece, and scratch memory.
#include IAPT_TEST_BACKEND_HEADER

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <map>

#include "support/check.hpp"

namespace iapt::test::backend_thrust_backend {
namespace {

int thread_number() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}
/// Counts visits of each place, rows of `columns`.
struct count_loop {
  using value_type = float;
  row<float> visits;
  index_t columns;
  template <class V>
  void operator()(index_t r, vec_index<V> j) const {
    j.at += r * columns;
    visits[j] = visits(j) + V(1);
  }
};
/// Sums k..k+99 in scratch memory, and notes where that is.
struct scratch_kernel {
  using value_type = double;
  double* y;
  std::pair<int, double*>* where;  // thread and memory
  index_t scratch() const { return 100; }
  template <class Team>
  void operator()(Team team, index_t k) const {
    team.for_each_element(100, [&](auto j) { team.scratch[j.at] = double(j.at + k); });
    const double s = team.sum(100, [&](auto j) { return row<double>{team.scratch}(j); });
    team.single([&] { y[k] = s, where[k] = {thread_number(), team.scratch}; });
  }
};

}  // namespace

TEST_CASE("a grid visits every place once", "[backend]") {
  test_backend backend = with_threads(3);
  for (const auto& [rows, columns] :
       {std::pair<index_t, index_t>{1, 1}, {7, 13}, {1, 5000}, {300, 1}, {0, 5}, {5, 0}}) {
    CAPTURE(rows, columns);
    std::vector<float> visits(std::size_t(rows * columns));
    backend.for_each(rows, columns, count_loop{{visits.data()}, columns});
    CHECK((visits == std::vector<float>(visits.size(), 1)));
  }
}

TEST_CASE("every thread's groups have scratch memory of their own", "[backend]") {
  for (int threads : {1, 3}) {
    test_backend backend = with_threads(threads);
    std::vector<double> y(1000);
    std::vector<std::pair<int, double*>> where(1000);
    backend.for_each_team(1000, 100, scratch_kernel{y.data(), where.data()});
    std::map<int, double*> memory(where.begin(), where.end());
    for (index_t k = 0; k < 1000; ++k) {
      CHECK(y[k] == 4950 + 100.0 * double(k));
      for (const auto& [thread, place] : memory)
        CHECK((thread == where[k].first ? place == where[k].second : std::abs(place - where[k].second) >= 100));
    }
    CHECK(backend.bytes_in_use() == 0);
  }
}

}  // namespace iapt::test::backend_thrust_backend
