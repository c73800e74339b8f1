// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/backend/pool.hpp"

#include <cstdlib>
#include <new>
#include <vector>

#include "iapt/core/random.hpp"
#include "support/catch.hpp"

namespace iapt::test::backend_pool {
namespace {

/// Counts what it gets from the system.
struct counting_pool : memory_pool<counting_pool> {
  std::size_t held = 0, most = 0, calls = 0;
  std::unordered_map<void*, std::size_t> blocks;
  ~counting_pool() { trim(); }
  void* allocate_raw(std::size_t bytes) {
    void* p = std::malloc(bytes);
    blocks[p] = bytes, held += bytes, most = std::max(most, held), ++calls;
    return p;
  }
  void deallocate_raw(void* p) {
    held -= blocks.at(p);
    blocks.erase(p);
    std::free(p);
  }
};

}  // namespace

TEST_CASE("memory that came back is used again", "[backend]") {
  counting_pool pool;
  float* a = pool.allocate<float>(1000);
  CHECK(pool.bytes_in_use() == 4032);  // in units of 64 bytes
  pool.deallocate(a, 1000);
  CHECK(pool.bytes_in_use() == 0);
  CHECK(pool.peak_bytes() == 4032);
  CHECK(pool.allocate<float>(1000) == a);
  pool.deallocate(a, 1000);
  CHECK(pool.allocate<float>(900) == a);  // a little too large is near enough
  float* b = pool.allocate<float>(500);   // a is in use
  CHECK(pool.calls == 2);
  pool.deallocate(a, 900);
  float* c = pool.allocate<float>(500);  // a is much too large, and given back rather than kept beside
  CHECK(pool.calls == 3);
  CHECK(pool.held == 2 * 2048);
  pool.deallocate(b, 500), pool.deallocate(c, 500);
}

TEST_CASE("a block of no numbers is a block", "[backend]") {
  counting_pool pool;
  double* a = pool.allocate<double>(0);
  double* b = pool.allocate<double>(0);
  CHECK(a != nullptr);
  CHECK(a != b);
  pool.deallocate(a, 0), pool.deallocate(b, 0);
  CHECK(pool.bytes_in_use() == 0);
}

TEST_CASE("trim gives idle memory back, and only that", "[backend]") {
  counting_pool pool;
  float* a = pool.allocate<float>(100);
  pool.deallocate(pool.allocate<float>(5000), 5000);
  CHECK(pool.held > 20000);
  pool.trim();
  CHECK(pool.held == 448);
  pool.deallocate(a, 100);
}

TEST_CASE("sizes that vary from step to step do not pile up", "[backend]") {
  counting_pool pool;
  random_stream stream(1);
  for (int step = 0; step < 300; ++step) {
    const index_t rows = 100 + index_t(stream.below(900));
    std::vector<std::pair<float*, index_t>> taken;
    for (int i = 0; i < 40; ++i) {
      const index_t n = rows * index_t(1 + stream.below(8));
      taken.push_back({pool.allocate<float>(n), n});
    }
    for (const auto& [p, n] : taken) pool.deallocate(p, n);
  }
  CHECK(pool.bytes_in_use() == 0);
  CHECK(pool.most <= pool.peak_bytes() * 5 / 4);
}

}  // namespace iapt::test::backend_pool
