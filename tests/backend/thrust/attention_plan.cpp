// SPDX-License-Identifier: Apache-2.0
// Backends: thrust_cpp, thrust_omp
#include IAPT_TEST_BACKEND_HEADER

#include "support/check.hpp"

namespace iapt::test::backend_thrust_attention_plan {

TEST_CASE("tiles of keys share no row, and each soft token's tile knows all that see it", "[backend]") {
  test_backend backend = with_threads(1);
  const std::vector<attention_segment> segments{{.begin = 0, .count = 70, .soft_begin = 0, .soft_count = 4},
                                                {.begin = 70, .count = 3, .soft_begin = 2, .soft_count = 6},
                                                {.begin = 80, .count = 1, .soft_begin = 20, .soft_count = 9},
                                                {.begin = 90, .count = 2}};
  const attention_plan<test_backend> plan(backend, {2, 1, 8}, segments, {}, 8, 0);
  CHECK(plan.rows() == 92);
  CHECK(plan.query_tiles() == 18 + 1 + 1 + 1);
  CHECK(plan.prefill_query_tiles() == 18);
  CHECK(plan.kv_splits().size() == (3 + 1 + 2) * 16);
  CHECK(plan.split_rows().size() == (3 + 1 + 2) * 2);
  CHECK(plan.partial_rows() == (3 + 1 + 2) * 2 * 16);
  std::vector<int> own(92), soft(29);
  const auto tiles = plan.template tiles<float>({}, {}, nullptr);
  for (index_t k = 0; k < plan.key_tiles(); ++k) {
    const attention_key_tile& t = tiles.keys[k];
    CHECK(t.count <= 8);
    for (index_t j = t.begin; j < t.begin + t.count; ++j) {
      ++(t.soft ? soft : own)[std::size_t(j)];
      if (!t.soft) continue;
      std::vector<std::int32_t> expected;
      for (std::int32_t s = 0; s < 4; ++s)
        if (segments[s].soft_begin <= j && j < segments[s].soft_begin + segments[s].soft_count) expected.push_back(s);
      CHECK(std::vector(tiles.attending_sequences + t.first_sequence,
                        tiles.attending_sequences + t.first_sequence + t.sequence_count) == expected);
    }
  }
  for (std::size_t j = 0; j < own.size(); ++j) CHECK(own[j] == int(j < 73 || j == 80 || j >= 90));
  for (std::size_t j = 0; j < soft.size(); ++j) CHECK(soft[j] == int(j < 8 || j >= 20));
}

TEST_CASE("a fused kernel takes sequences of more than four rows, and tiles what it cannot see", "[backend]") {
  test_backend backend = with_threads(1);
  const std::vector<attention_segment> segments{
      {.begin = 0, .count = 4},                                                     // too few
      {.begin = 4, .count = 5},                                                     // the kernel's alone
      {.begin = 10, .count = 8, .soft_begin = 0, .soft_count = 2, .soft_from = 7},  // its last row sees more
      {.begin = 18, .count = 6, .past_begin = 0, .past_count = 3},                  // all of its rows do
      {.begin = 24, .count = 9}};                                                   // too many
  const attention_plan<test_backend> plan(backend, {4, 2, 8}, segments, {}, 4, 8);
  const fused_sequences& fused = plan.fused();
  CHECK(fused.count == 3);
  CHECK(fused.longest == 8);
  CHECK(fused.rows == 24);
  const auto numbers = [](const std::int32_t* p, index_t n) { return std::vector<std::int32_t>(p, p + n); };
  CHECK(numbers(fused.lengths, 3) == std::vector<std::int32_t>{5, 8, 6});
  CHECK(numbers(fused.query_offsets, 4) == std::vector<std::int32_t>{4 * 32, 10 * 32, 18 * 32, 24 * 32});
  CHECK(numbers(fused.key_offsets, 4) == std::vector<std::int32_t>{4 * 16, 10 * 16, 18 * 16, 24 * 16});
  CHECK(numbers(fused.sum_offsets, 4) == std::vector<std::int32_t>{4 * 4, 10 * 4, 18 * 4, 24 * 4});
  const fused_sequences part = fused.part(1, 2);
  CHECK(part.count == 2);
  CHECK(numbers(part.lengths, 2) == std::vector<std::int32_t>{8, 6});
  CHECK(numbers(part.query_offsets, 3) == std::vector<std::int32_t>{10 * 32, 18 * 32, 24 * 32});
  // Two heads share a key/value head, so a tile of 4 is 2 queries: all of the first and last sequence, the last two
  // queries of the third, all of the fourth.
  CHECK(plan.query_tiles() == 2 * (2 + 0 + 1 + 3 + 5));
  std::vector<int> own(33), soft(2);
  const auto tiles = plan.template tiles<float>({}, {}, nullptr);
  for (index_t k = 0; k < plan.key_tiles(); ++k)
    for (index_t j = tiles.keys[k].begin; j < tiles.keys[k].begin + tiles.keys[k].count; ++j)
      ++(tiles.keys[k].soft ? soft : own)[std::size_t(j)];
  for (int j = 0; j < 33; ++j) CHECK(own[std::size_t(j)] == (j < 4 || j >= 24 ? 2 : 0));  // of each key/value head
  CHECK(soft == std::vector<int>{2, 2});
}

TEST_CASE("a plan goes on with other pasts, but not with one that it has no tiles for", "[backend]") {
  test_backend backend = with_threads(1);
  std::vector<attention_segment> segments{{.begin = 0, .count = 6, .past_count = 1}, {.begin = 6, .count = 6}};
  attention_plan<test_backend> plan(backend, {1, 1, 8}, segments, {.block_size = 2, .blocks = {0, 1, 2}}, 4, 100);
  segments[0].past_count = 5;
  plan.replace(segments, {.block_size = 2, .blocks = {2, 1, 0}});
  const auto tiles = plan.template forward_tiles<float>({}, nullptr);
  CHECK(tiles.segments[0].past_count == 5);
  CHECK(tiles.a.past.row(segments[0], 0) == 2 * 2);
  segments[1].past_count = 1;
  CHECK(message_of<shape_error>([&] { plan.replace(segments, {}); }) ==
        "attention: sequence 1 had no past when its tiles were planned");
}

}  // namespace iapt::test::backend_thrust_attention_plan
