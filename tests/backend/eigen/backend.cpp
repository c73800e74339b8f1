// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/eigen/backend.hpp"

#include <mutex>
#include <set>
#include <thread>

#include "support/check.hpp"

namespace iapt::test::backend_eigen_backend {
namespace {

/// Counts how often each number is visited, and by which threads.
struct visiting_loop {
  using value_type = float;
  row<float> visits;
  index_t columns;
  template <class V>
  void operator()(index_t r, vec_index<V> j) const {
    const vec_index<V> i{r * columns + j.at};
    visits[i] = visits(i) + V(1);
  }
};
struct visiting_kernel {
  using value_type = float;
  std::vector<int>* visits;
  std::set<std::thread::id>* threads;
  std::mutex* lock;
  template <class Team>
  void operator()(Team, index_t k) const {
    const std::lock_guard hold(*lock);
    ++visits->at(k), threads->insert(std::this_thread::get_id());
  }
};

}  // namespace

TEST_CASE("a loop visits every number once, whatever its extents and threads", "[backend]") {
  for (int threads : {1, 2, 3})
    for (const auto& [rows, columns] :
         {std::array<index_t, 2>{0, 5}, {5, 0}, {1, 1}, {3, 2047}, {2, 2048}, {7, 5003}}) {
      CAPTURE(threads, rows, columns);
      eigen_backend backend({.threads = threads});
      std::vector<float> visits(rows * columns);
      backend.for_each(rows, columns, visiting_loop{{visits.data()}, columns});
      CHECK(visits == std::vector<float>(rows * columns, 1));
    }
}

TEST_CASE("a team kernel runs once for each row; small work stays on one thread", "[backend]") {
  eigen_backend backend({.threads = 2});
  for (index_t work : {1, 100000}) {
    std::vector<int> visits(50);
    std::set<std::thread::id> threads;
    std::mutex lock;
    backend.for_each_team(50, work, visiting_kernel{&visits, &threads, &lock});
    CHECK(visits == std::vector<int>(50, 1));
#if defined(_OPENMP)
    CHECK(threads.size() == (work == 1 ? 1 : 2));
#endif
  }
}

TEST_CASE("threads are what was asked for, and at least one", "[backend]") {
  CHECK(eigen_backend().threads() >= 1);
#if defined(_OPENMP)
  CHECK(eigen_backend({.threads = 3}).threads() == 3);
  const int before = omp_get_max_threads();
  eigen_backend backend({.threads = 1});
  const inference<eigen_backend> ctx(backend);
  std::vector<float> x(100 * 100, 1), y(100 * 100);
  backend.matmul<float>(100, 100, 100, {x.data(), 100}, {x.data(), 100}, {y.data(), 100}, false);
  CHECK(y[5] == 100);
  CHECK(omp_get_max_threads() == before);
#endif
}

TEST_CASE("copies and zeros", "[backend]") {
  eigen_backend backend;
  const double from[] = {1, 2, 3};
  double to[] = {0, 0, 0};
  backend.copy(to, from, 2);
  CHECK((to[0] == 1 && to[1] == 2 && to[2] == 0));
  backend.upload(to, from, 3);
  CHECK(to[2] == 3);
  backend.zero(to, 2);
  CHECK((to[0] == 0 && to[1] == 0 && to[2] == 3));
}

TEST_CASE("memory is aligned for any vector", "[backend]") {
  eigen_backend backend;
  for (index_t n : {1, 7, 100, 12345}) {
    float* p = backend.allocate<float>(n);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
    backend.deallocate(p, n);
  }
}

#if !defined(__SANITIZE_ADDRESS__)  // which ends the program instead
TEST_CASE("more memory than there is", "[backend]") {
  eigen_backend backend;
  CHECK(message_of<device_error>([&] { backend.allocate<double>(index_t(1) << 56); }) ==
        "eigen: out of memory: 549755813888 MiB more were wanted");
  CHECK(backend.bytes_in_use() == 0);
}
#endif

}  // namespace iapt::test::backend_eigen_backend
