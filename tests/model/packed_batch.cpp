// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/model/packed_batch.hpp"

#include "support/catch.hpp"

namespace iapt::test::model_packed_batch {
namespace {

std::vector<std::array<index_t, 3>> places(const packed_batch& batch) {
  std::vector<std::array<index_t, 3>> all;
  for (const packed_sequence& s : batch.sequences) all.push_back({s.begin, s.count, s.instruction});
  return all;
}

}  // namespace

TEST_CASE("a packed batch by hand", "[model]") {
  packed_batch batch;
  batch.add({5, 6, 7}, {8, 9});  // the 9 is predicted, never read
  batch.add({1}, {2, 3, 4});
  batch.add({10, 11}, {12});
  CHECK(batch.tokens == std::vector<token_id>{5, 6, 7, 8, 1, 2, 3, 10, 11});
  CHECK(places(batch) == std::vector<std::array<index_t, 3>>{{0, 4, 3}, {4, 3, 1}, {7, 2, 2}});
  CHECK(batch.logit_rows == std::vector<std::int32_t>{2, 3, 4, 5, 6, 8});
  CHECK(batch.targets == std::vector<token_id>{8, 9, 2, 3, 4, 12});
}

TEST_CASE("without a response the last row is wanted, and there is no target", "[model]") {
  packed_batch batch;
  batch.add({5, 6, 7});
  batch.add({1});
  CHECK(batch.tokens == std::vector<token_id>{5, 6, 7, 1});
  CHECK(places(batch) == std::vector<std::array<index_t, 3>>{{0, 3, 3}, {3, 1, 1}});
  CHECK(batch.logit_rows == std::vector<std::int32_t>{2, 3});
  CHECK(batch.targets.empty());
}

}  // namespace iapt::test::model_packed_batch
