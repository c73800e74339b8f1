// SPDX-License-Identifier: Apache-2.0
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
  void* allocate(std::size_t bytes) {
    void* p = std::malloc(bytes);
    blocks[p] = bytes, held += bytes, most = std::max(most, held), ++calls;
    return p;
  }
  void release(void* p) {
    held -= blocks.at(p);
    blocks.erase(p);
    std::free(p);
  }
};

}  // namespace

TEST_CASE("memory that came back is used again", "[backend]") {
  counting_pool pool;
  float* a = pool.take<float>(1000);
  CHECK(pool.bytes_in_use() == 4032);  // in units of 64 bytes
  pool.give(a, 1000);
  CHECK(pool.bytes_in_use() == 0);
  CHECK(pool.peak_bytes() == 4032);
  CHECK(pool.take<float>(1000) == a);
  pool.give(a, 1000);
  CHECK(pool.take<float>(900) == a);  // a little too large is near enough
  float* b = pool.take<float>(500);   // a is in use
  CHECK(pool.calls == 2);
  pool.give(a, 900);
  float* c = pool.take<float>(500);  // a is much too large, and given back rather than kept beside
  CHECK(pool.calls == 3);
  CHECK(pool.held == 2 * 2048);
  pool.give(b, 500), pool.give(c, 500);
}

TEST_CASE("a block of no numbers is a block", "[backend]") {
  counting_pool pool;
  double* a = pool.take<double>(0);
  double* b = pool.take<double>(0);
  CHECK(a != nullptr);
  CHECK(a != b);
  pool.give(a, 0), pool.give(b, 0);
  CHECK(pool.bytes_in_use() == 0);
}

TEST_CASE("trim gives idle memory back, and only that", "[backend]") {
  counting_pool pool;
  float* a = pool.take<float>(100);
  pool.give(pool.take<float>(5000), 5000);
  CHECK(pool.held > 20000);
  pool.trim();
  CHECK(pool.held == 448);
  pool.give(a, 100);
}

TEST_CASE("sizes that vary from step to step do not pile up", "[backend]") {
  counting_pool pool;
  random_stream stream(1);
  for (int step = 0; step < 300; ++step) {
    const index_t rows = 100 + index_t(stream.below(900));
    std::vector<std::pair<float*, index_t>> taken;
    for (int i = 0; i < 40; ++i) {
      const index_t n = rows * index_t(1 + stream.below(8));
      taken.push_back({pool.take<float>(n), n});
    }
    for (const auto& [p, n] : taken) pool.give(p, n);
  }
  CHECK(pool.bytes_in_use() == 0);
  CHECK(pool.most <= pool.peak_bytes() * 5 / 4);
}

}  // namespace iapt::test::backend_pool
