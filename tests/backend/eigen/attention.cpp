// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// How attention's work is divided; its numbers are tested with the operation, in ops/attention.cpp.
#include "iapt/backend/eigen/attention.hpp"

#include <set>

#include "support/catch.hpp"

namespace iapt::test::backend_eigen_attention {

TEST_CASE("tiles cover every query of every head once", "[backend]") {
  const std::vector<attention_segment> segments{
      {.begin = 0, .count = 130}, {.begin = 130, .count = 0}, {.begin = 130, .count = 64}};
  for (const head_layout layout : {head_layout{9, 3, 8}, {6, 6, 8}, {20, 1, 8}, {130, 1, 8}}) {
    std::set<std::array<index_t, 3>> all;  // sequence, head, query
    index_t rows = 0;
    for (const attention_task& t : attention_tasks(layout, segments)) {
      CHECK(t.rows() <= attention_rows);
      rows += t.rows();
      for (index_t h = t.head; h < t.head + t.heads; ++h) {
        CHECK(h / (layout.heads / layout.kv_heads) == t.kv_head);
        for (index_t i = t.from; i < t.from + t.count; ++i) all.insert({t.segment, h, i});
      }
    }
    CHECK(rows == layout.heads * (130 + 64));
    CHECK(index_t(all.size()) == rows);
    CHECK(all.count({0, layout.heads - 1, 129}) == 1);
  }
}

TEST_CASE("blocks of keys: the past, the soft tokens for those that see them, the own rows so far", "[backend]") {
  float keys[1];
  const attention_segment s{
      .begin = 10, .count = 100, .past_begin = 3, .past_count = 70, .soft_begin = 5, .soft_count = 4, .soft_from = 90};
  attention_arrays<float> a{{2, 2, 8}, 1, keys, keys, keys, keys, keys, {}, keys, keys, nullptr, nullptr};
  const auto blocks = [&](index_t to) {
    std::vector<std::array<index_t, 4>> found;  // first row, rows, first query that sees the first key, step
    for_each_key_block(a, attention_adjoints<float>{}, s, 1, to, [&](const key_block<float>& b) {
      const index_t first = b.visible.first_query(), step = b.visible.sees(first, 1) ? 0 : 1;
      found.push_back({(b.k - keys - 8) / 16, b.count, first, step});
      CHECK(b.k - keys == b.v - keys);
      CHECK(b.dk == nullptr);
    });
    return found;
  };
  using rows = std::vector<std::array<index_t, 4>>;
  CHECK(blocks(64) == rows{{3, 64, 0, 0}, {67, 6, 0, 0}, {10, 64, 0, 1}});
  CHECK(blocks(90) == rows{{3, 64, 0, 0}, {67, 6, 0, 0}, {10, 64, 0, 1}, {74, 26, 64, 1}});
  CHECK(blocks(100) == rows{{3, 64, 0, 0}, {67, 6, 0, 0}, {5, 4, 90, 0}, {10, 64, 0, 1}, {74, 36, 64, 1}});
}

TEST_CASE("whether sequences share soft tokens", "[backend]") {
  const auto overlap = [](std::vector<attention_segment> segments) { return prefixes_overlap(segments); };
  CHECK_FALSE(overlap({}));
  CHECK_FALSE(overlap({{.soft_begin = 4, .soft_count = 4}, {.soft_begin = 0, .soft_count = 4}}));
  CHECK_FALSE(overlap({{.soft_begin = 0, .soft_count = 0}, {.soft_begin = 0, .soft_count = 4}}));
  CHECK(overlap({{.soft_begin = 3, .soft_count = 4}, {.soft_begin = 0, .soft_count = 4}}));
  CHECK(overlap({{.soft_count = 4}, {.soft_count = 4}}));
}

}  // namespace iapt::test::backend_eigen_attention
