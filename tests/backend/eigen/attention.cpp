// SPDX-License-Identifier: Apache-2.0
// How attention's work is divided; its numbers are tested with the operation, in ops/attention.cpp.
#include "iapt/backend/eigen/attention.hpp"

#include <set>

#include "support/catch.hpp"

namespace iapt::test {

TEST_CASE("tiles cover every query of every head once", "[backend]") {
  const std::vector<attention_segment> segments{
      {.begin = 0, .count = 130}, {.begin = 130, .count = 0}, {.begin = 130, .count = 64}};
  const auto tasks = attention_tasks({.heads = 3, .kv_heads = 1, .head_size = 8}, segments);
  std::set<std::array<extent, 3>> all;
  for (const attention_task& t : tasks) all.insert({t.segment, t.head, t.from});
  CHECK(tasks.size() == 3 * (3 + 1));
  CHECK(all.size() == tasks.size());
  CHECK(all.count({0, 2, 128}) == 1);
  CHECK(all.count({2, 0, 0}) == 1);
}

TEST_CASE("blocks of keys: the past, the soft tokens for those that see them, the own rows so far", "[backend]") {
  float keys[1];
  const attention_segment s{.begin = 10,
                            .count = 100,
                            .past_begin = 3,
                            .past_count = 70,
                            .prefix_begin = 5,
                            .prefix_count = 4,
                            .prefix_from = 90};
  attention_arrays<float> a{{2, 2, 8}, 1, keys, keys, keys, keys, keys, keys, keys, nullptr, nullptr};
  const auto blocks = [&](extent to) {
    std::vector<std::array<extent, 4>> found;  // first row, rows, first query that sees the first key, step
    for_each_key_block(a, attention_adjoints<float>{}, s, 1, to, [&](const key_block<float>& b) {
      found.push_back({(b.k - keys - 8) / 16, b.count, b.first, b.step});
      CHECK(b.k - keys == b.v - keys);
      CHECK(b.dk == nullptr);
    });
    return found;
  };
  using rows = std::vector<std::array<extent, 4>>;
  CHECK(blocks(64) == rows{{3, 64, 0, 0}, {67, 6, 0, 0}, {10, 64, 0, 1}});
  CHECK(blocks(90) == rows{{3, 64, 0, 0}, {67, 6, 0, 0}, {10, 64, 0, 1}, {74, 26, 64, 1}});
  CHECK(blocks(100) == rows{{3, 64, 0, 0}, {67, 6, 0, 0}, {5, 4, 90, 0}, {10, 64, 0, 1}, {74, 36, 64, 1}});
}

TEST_CASE("whether sequences share soft tokens", "[backend]") {
  const auto overlap = [](std::vector<attention_segment> segments) { return prefixes_overlap(segments); };
  CHECK_FALSE(overlap({}));
  CHECK_FALSE(overlap({{.prefix_begin = 4, .prefix_count = 4}, {.prefix_begin = 0, .prefix_count = 4}}));
  CHECK_FALSE(overlap({{.prefix_begin = 0, .prefix_count = 0}, {.prefix_begin = 0, .prefix_count = 4}}));
  CHECK(overlap({{.prefix_begin = 3, .prefix_count = 4}, {.prefix_begin = 0, .prefix_count = 4}}));
  CHECK(overlap({{.prefix_count = 4}, {.prefix_count = 4}}));
}

}  // namespace iapt::test
