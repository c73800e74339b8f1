// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/prefix_index.hpp"

#include "support/catch.hpp"
#include "support/check.hpp"

namespace iapt::test::serve_prefix_index {
namespace {

using cache_type = kv_cache<double, test_backend>;
using index_type = prefix_index<double, test_backend>;
using blocks = std::vector<std::int32_t>;

cache_type small_cache(test_backend& backend) {  // five blocks of two rows
  return {backend,
          {.layers = 1, .heads = {2, 1, 2}},
          {.sequences = 3, .blocks = 5, .block_size = 2, .max_blocks_per_seq = 5}};
}
/// Reads tokens into an empty sequence as the index would have them; its blocks.
blocks read(cache_type& cache, index_type& index, index_t sequence, const std::vector<token_id>& tokens,
            const prefix_scope& scope = {}) {
  const index_t rows = index_t(tokens.size()) + scope.soft_slots;
  cache.reserve(sequence, rows);
  index.add(scope, tokens, sequence, rows);
  blocks taken;
  for (index_t i = 0; i < cache.blocks_for(rows); ++i) taken.push_back(cache.block(sequence, i));
  return taken;
}

}  // namespace

TEST_CASE("blocks are found by all tokens up to their end, and by what else they depend on", "[serve]") {
  test_backend backend = with_threads(1);
  auto cache = small_cache(backend);
  index_type index(cache);
  const std::vector<token_id> tokens{1, 2, 3, 4, 5}, other{9, 9, 3, 4}, prompt{1, 2}, other_prompt{1, 2, 3};
  const blocks own = read(cache, index, 0, tokens);
  CHECK(index.size() == 2);  // of the third there is but one row
  const auto first = [&](std::size_t count) { return blocks(own.begin(), own.begin() + std::ptrdiff_t(count)); };
  CHECK(index.find({}, tokens, 5) == first(2));
  CHECK(index.find({}, tokens, 3) == first(1));
  CHECK(index.find({}, std::vector<token_id>{1, 2, 3}, 9) == first(1));
  CHECK(index.find({}, std::vector<token_id>{1, 2, 3, 5}, 9) == first(1));
  CHECK(index.find({}, other, 9).empty());
  CHECK(index.find({.method = 7}, tokens, 9).empty());
  CHECK(index.find({.written = prompt}, tokens, 9).empty());
  cache.clear(0);

  const prefix_scope written{.method = 3, .written = prompt, .soft_slots = 3};  // a block of soft rows, one of both
  const blocks soft = read(cache, index, 1, {1, 2, 3}, written);
  CHECK(index.find(written, std::vector<token_id>{1, 2, 3}, 9) == soft);
  CHECK(index.find(written, std::vector<token_id>{1, 4, 3}, 9) == blocks{soft[0], soft[1]});
  CHECK(index.find({.method = 3, .written = other_prompt, .soft_slots = 3}, std::vector<token_id>{1, 2, 3}, 9).empty());
}

TEST_CASE("blocks are held until memory is needed, those used longest ago least", "[serve]") {
  test_backend backend = with_threads(1);
  auto cache = small_cache(backend);
  index_type index(cache);
  const std::vector<token_id> tokens{1, 2, 3, 4}, later{5, 6};
  const blocks own = read(cache, index, 0, tokens), last = read(cache, index, 1, later);
  CHECK(cache.evictable_blocks() == 0);
  cache.clear(0);
  CHECK(cache.free_blocks() == 2);
  CHECK(cache.evictable_blocks() == 2);
  cache.attach_blocks(2, index.find({}, tokens, 2));
  CHECK(cache.evictable_blocks() == 1);
  CHECK(cache.filled(0, 2) == 2);
  cache.clear(2);
  cache.clear(1);
  CHECK(cache.evictable_blocks() == 3);
  index.make_room(2);
  CHECK(index.size() == 3);
  index.make_room(3);
  CHECK(index.find({}, tokens, 4) == blocks{own[0]});  // the end of the oldest went first
  CHECK(index.find({}, later, 2) == last);
  index.find({}, tokens, 4);
  index.make_room(4);
  CHECK(index.find({}, later, 2).empty());
  cache.attach_blocks(0, {own[0]});
  index.make_room(5);
  CHECK(cache.free_blocks() == 4);
  CHECK(index.find({}, tokens, 4) == blocks{own[0]});  // a sequence has it
}

TEST_CASE("a block that two read at once is known once", "[serve]") {
  test_backend backend = with_threads(1);
  cache_type cache{backend,
                   {.layers = 1, .heads = {2, 1, 2}},
                   {.sequences = 3, .blocks = 8, .block_size = 2, .max_blocks_per_seq = 5}};
  index_type index(cache);
  const std::vector<token_id> tokens{1, 2, 3, 4, 5, 6, 7, 8};
  const auto grow = [&](index_t sequence, index_t rows) {  // to so many rows
    cache.reserve(sequence, rows);                         // none is filled: the index does not ask
    index.add({}, tokens, sequence, rows);
  };
  grow(0, 4), grow(1, 4), grow(1, 6);  // the third block of one stands behind the second of the other
  cache.clear(0);
  index.make_room(cache.free_blocks() + 1);  // which is forgotten
  grow(1, 8);
  CHECK_THROWS_AS(cache.mark_cached(cache.block(1, 2)), shape_error);
  cache.clear(1);
  for (index_t free = cache.free_blocks() + 1; free <= 8; ++free) {
    index.make_room(free);
    for (const std::int32_t block : index.find({}, tokens, 8)) CHECK(cache.is_evictable(block));
    CHECK(cache.free_blocks() + cache.evictable_blocks() == 8);
  }
}

}  // namespace iapt::test::serve_prefix_index
