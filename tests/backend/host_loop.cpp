// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/host_loop.hpp"

#include <atomic>
#include <vector>

#include "iapt/core/error.hpp"
#include "support/check.hpp"

namespace iapt::test::backend_host_loop {

TEST_CASE("a loop on the host calls each once, and throws what is thrown", "[backend]") {
  for (const int threads : {1, 2, 5})
    for (const index_t n : {0, 1, 2, 17}) {
      std::vector<std::atomic<int>> calls(std::size_t(n) + 1);
      host_loop(threads, n, [&](index_t k) { ++calls[std::size_t(k)]; });
      for (index_t k = 0; k < n; ++k) CHECK(calls[std::size_t(k)] == 1);
      CHECK(calls[std::size_t(n)] == 0);
    }
  CHECK_THROWS_AS(host_loop(2, 8,
                            [](index_t k) {
                              if (k == 5) throw shape_error("five");
                            }),
                  shape_error);
  CHECK(host_threads(with_threads(3)) >= 1);
}

}  // namespace iapt::test::backend_host_loop
