// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/openmp_threads.hpp"

#include "support/catch.hpp"

namespace iapt::test::backend_openmp_threads {

#if defined(_OPENMP)
TEST_CASE("OpenMP's number of threads is set for a scope, and scopes may lie in each other", "[backend]") {
  const auto threads = [] {
    int count = 0;
#pragma omp parallel
#pragma omp single
    count = omp_get_num_threads();
    return count;
  };
  const int before = omp_get_max_threads();
  {
    const openmp_threads three(3);
    CHECK(threads() == 3);
    {
      const openmp_threads two(2);
      CHECK(threads() == 2);
    }
    CHECK(threads() == 3);
  }
  CHECK(omp_get_max_threads() == before);
}
#endif

}  // namespace iapt::test::backend_openmp_threads
