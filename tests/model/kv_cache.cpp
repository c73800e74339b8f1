// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/model/kv_cache.hpp"

#include "support/check.hpp"

namespace iapt::test::model_kv_cache {
namespace {

using cache_type = kv_cache<double, test_backend>;

cache_type small_cache(test_backend& backend) {  // 2 layers, 2 sequences, 3 rows of 2 numbers
  return {backend, {.layers = 2, .heads = {2, 1, 2}}, 2, 3};
}
/// Rows {first, first}, {first + 1, first + 1}, …; values are minus the keys.
key_values<double, test_backend> counted(test_backend& backend, double first, index_t rows) {
  host_array<2> keys({rows, 2});
  for (index_t i = 0; i < 2 * rows; ++i) keys(i) = first + double(i / 2);
  host_array<2> values = keys;
  for (double& v : values.values) v = -v;
  return {upload_as<double>(backend, keys), upload_as<double>(backend, values)};
}
/// First column of what one layer holds of a sequence; the values must be minus the keys.
std::vector<double> held(const cache_type& cache, index_t layer, index_t sequence) {
  const auto keys = to_host(cache.layer(layer).keys), values = to_host(cache.layer(layer).values);
  std::vector<double> found;
  for (index_t i = 0; i < cache.filled(layer, sequence); ++i) {
    const std::size_t at = std::size_t(2 * cache.slot(sequence, i));
    found.push_back(keys[at]);
    CHECK(keys[at + 1] == keys[at]);
    CHECK(values[at] == -keys[at]);
    CHECK(values[at + 1] == -keys[at]);
  }
  return found;
}

}  // namespace

TEST_CASE("a new cache is empty", "[model]") {
  test_backend backend = with_threads(1);
  auto cache = small_cache(backend);
  CHECK(cache.sequences() == 2);
  for (index_t l : {0, 1}) {
    CHECK(cache.layer(l).keys.shape() == extents<2>{6, 2});
    CHECK(cache.layer(l).values.shape() == extents<2>{6, 2});
    for (index_t b : {0, 1}) CHECK(cache.filled(l, b) == 0);
  }
  CHECK(cache.next_position(1) == 0);
  cache.next_position(1) = 7;
  CHECK(cache.next_position(1) == 7);
  CHECK(cache.next_position(0) == 0);
}

TEST_CASE("rows are appended behind what a sequence has in a layer", "[model]") {
  test_backend backend = with_threads(1);
  auto cache = small_cache(backend);
  const auto rows = counted(backend, 10, 4);
  cache.append(0, 1, rows, 1, 2);
  cache.append(0, 0, rows, 0, 1);
  cache.append(0, 0, rows, 3, 1);
  cache.append(1, 1, counted(backend, 50, 3), 0, 3);
  cache.append(0, 1, rows, 0, 1);
  CHECK(held(cache, 0, 0) == std::vector<double>{10, 13});
  CHECK(held(cache, 0, 1) == std::vector<double>{11, 12, 10});
  CHECK(held(cache, 1, 0).empty());
  CHECK(held(cache, 1, 1) == std::vector<double>{50, 51, 52});
}

TEST_CASE("a cache without room says so and keeps what it has", "[model]") {
  test_backend backend = with_threads(1);
  auto cache = small_cache(backend);
  const auto rows = counted(backend, 10, 4);
  cache.append(0, 0, rows, 0, 2);
  cache.append(0, 1, rows, 2, 1);
  CHECK(message_of<shape_error>([&] { cache.append(0, 0, rows, 0, 2); }) ==
        "kv_cache: no room for 2 more rows after 2 of 3");
  CHECK(message_of<shape_error>([&] { cache.append(1, 0, rows, 0, 4); }) ==
        "kv_cache: no room for 4 more rows after 0 of 3");
  CHECK(held(cache, 0, 0) == std::vector<double>{10, 11});
  CHECK(held(cache, 0, 1) == std::vector<double>{12});
  CHECK(cache.filled(1, 0) == 0);
  CHECK_NOTHROW(cache.append(0, 0, rows, 3, 1));  // exactly full
}

TEST_CASE("sequences take blocks as they grow, and give them back", "[model]") {
  test_backend backend = with_threads(1);
  cache_type cache(backend, {.layers = 2, .heads = {2, 1, 2}},
                   {.sequences = 3, .blocks = 4, .block_size = 2, .max_blocks_per_seq = 3});
  const auto rows = counted(backend, 10, 6);
  for (const index_t l : {0, 1}) cache.append(l, 0, rows, 0, 3);  // two blocks
  cache.append(0, 1, rows, 3, 1);
  cache.append(0, 0, rows, 4, 2);  // the fourth row fills a block, the fifth takes one
  CHECK(cache.free_blocks() == 0);
  CHECK(held(cache, 0, 0) == std::vector<double>{10, 11, 12, 14, 15});
  CHECK(held(cache, 1, 0) == std::vector<double>{10, 11, 12});
  CHECK(held(cache, 0, 1) == std::vector<double>{13});
  CHECK(message_of<shape_error>([&] { cache.append(0, 2, rows, 0, 1); }) ==
        "kv_cache: 1 more blocks of 2 rows are needed, 0 are free");
  CHECK(message_of<shape_error>([&] { cache.append(0, 0, rows, 0, 2); }) ==
        "kv_cache: no room for 2 more rows after 5 of 6");
  CHECK(message_of<shape_error>([&] { cache.next_slots(0, {1, 2}); }).find("are free") != std::string::npos);
  CHECK_NOTHROW(cache.next_slots(0, {1}));
  cache.clear(0);
  CHECK(cache.free_blocks() == 3);
  CHECK(cache.filled(1, 0) == 0);
  cache.append(0, 2, rows, 0, 5);
  CHECK(held(cache, 0, 2) == std::vector<double>{10, 11, 12, 13, 14});
  CHECK(held(cache, 0, 1) == std::vector<double>{13});
}

TEST_CASE("a sequence begins as another one and shares its full blocks", "[model]") {
  test_backend backend = with_threads(1);
  cache_type cache(backend, {.layers = 2, .heads = {2, 1, 2}},
                   {.sequences = 3, .blocks = 5, .block_size = 2, .max_blocks_per_seq = 3});
  const auto rows = counted(backend, 10, 6);
  for (const index_t l : {0, 1}) cache.append(l, 0, rows, 0, 5);
  cache.next_position(0) = 9;
  cache.fork(0, 1);
  CHECK(cache.free_blocks() == 1);
  CHECK(cache.slot(1, 3) == cache.slot(0, 3));
  CHECK(cache.slot(1, 4) != cache.slot(0, 4));
  CHECK(cache.next_position(1) == 9);
  for (const index_t l : {0, 1}) CHECK(held(cache, l, 1) == held(cache, l, 0));
  // Each goes on alone.
  for (const index_t l : {0, 1}) cache.append(l, 0, rows, 5, 1), cache.append(l, 1, rows, 0, 1);
  CHECK(held(cache, 1, 0) == std::vector<double>{10, 11, 12, 13, 14, 15});
  CHECK(held(cache, 1, 1) == std::vector<double>{10, 11, 12, 13, 14, 10});
  cache.clear(0);
  CHECK(cache.free_blocks() == 2);
  CHECK(held(cache, 0, 1) == std::vector<double>{10, 11, 12, 13, 14, 10});
  CHECK(message_of<shape_error>([&] { cache.fork(1, 1); }).find("is not empty") != std::string::npos);
  cache.clear(1);
  CHECK(cache.free_blocks() == 5);
}

}  // namespace iapt::test::model_kv_cache
