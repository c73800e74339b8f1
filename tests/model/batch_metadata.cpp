// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/model/batch_metadata.hpp"

#include "support/check.hpp"

namespace iapt::test::model_batch_metadata {
namespace {

/// 5 6 7 | 8 9 and 1 2 |
packed_batch two_sequences() {
  packed_batch batch;
  batch.add({5, 6, 7}, {8, 9});
  batch.add({1, 2});
  return batch;
}
std::vector<std::array<index_t, 7>> listed(const std::vector<attention_segment>& segments) {
  std::vector<std::array<index_t, 7>> all;
  for (const attention_segment& s : segments)
    all.push_back({s.begin, s.count, s.past_begin, s.past_count, s.soft_begin, s.soft_count, s.soft_from});
  return all;
}
std::vector<std::array<index_t, 2>> listed(const std::vector<row_span>& spans) {
  std::vector<std::array<index_t, 2>> all;
  for (const row_span& s : spans) all.push_back({s.begin, s.end});
  return all;
}
using segment_list = std::vector<std::array<index_t, 7>>;
using span_list = std::vector<std::array<index_t, 2>>;
using tokens = std::vector<token_id>;
using numbers_of_rows = std::vector<std::int32_t>;
using positions = std::vector<index_t>;

/// A cache that holds what plan_context lets run, with room for 5 rows a sequence.
kv_cache<double, test_backend> filled_cache(test_backend& backend, const batch_metadata& read) {
  kv_cache<double, test_backend> cache(backend, {.layers = 1, .heads = {1, 1, 2}}, index_t(read.segments.size()), 5);
  const auto rows = upload_as<double>(backend, random({5, 2}));
  for (std::size_t b = 0; b < read.segments.size(); ++b)
    cache.append(0, index_t(b), {rows, rows}, 0, read.segments[b].count);
  return cache;
}

}  // namespace

TEST_CASE("the plan of a pass with soft tokens in front", "[model]") {
  const batch_metadata plan = plan_front(two_sequences(), 2);
  CHECK(plan.tokens == tokens{5, 6, 7, 8, 1, 2});
  CHECK(plan.positions == positions{2, 3, 4, 5, 2, 3});
  CHECK(plan.soft_positions == positions{0, 1, 0, 1});
  CHECK(listed(plan.segments) == segment_list{{0, 4, 0, 0, 0, 2, 0}, {4, 2, 0, 0, 2, 2, 0}});
  CHECK(listed(plan.instructions) == span_list{{0, 3}, {4, 6}});
  CHECK(plan.logit_rows == numbers_of_rows{2, 3, 5});
}

TEST_CASE("the plan of a pass without soft tokens", "[model]") {
  const batch_metadata plan = plan_front(two_sequences(), 0);
  CHECK(plan.positions == positions{0, 1, 2, 3, 0, 1});
  CHECK(plan.soft_positions.empty());
  CHECK(listed(plan.segments) == segment_list{{0, 4, 0, 0, 0, 0, 0}, {4, 2, 0, 0, 0, 0, 0}});
}

TEST_CASE("the plan of the instructions that late soft tokens are written from", "[model]") {
  const batch_metadata plan = plan_context(two_sequences());
  CHECK(plan.tokens == tokens{5, 6, 1});
  CHECK(plan.positions == positions{0, 1, 0});
  CHECK(listed(plan.segments) == segment_list{{0, 2, 0, 0, 0, 0, 0}, {2, 1, 0, 0, 0, 0, 0}});
  CHECK(listed(plan.instructions) == span_list{{0, 2}, {2, 3}});
  CHECK(plan.logit_rows.empty());
}

TEST_CASE("the plan of a pass with late soft tokens", "[model]") {
  test_backend backend = with_threads(1);
  const packed_batch batch = two_sequences();
  const batch_metadata read = plan_context(batch), plan = plan_late(batch, 2, read, filled_cache(backend, read));
  // Sequence 0 at positions: 5 6 at 0 1, soft tokens at 2 3, 7 8 at 4 5. Sequence 1: 1 at 0, soft at 1 2, 2 at 3.
  CHECK(plan.tokens == tokens{7, 8, 2});
  CHECK(plan.positions == positions{4, 5, 3});
  CHECK(plan.soft_positions == positions{2, 3, 1, 2});
  CHECK(listed(plan.segments) == segment_list{{0, 2, 0, 2, 0, 2, 0}, {2, 1, 1, 1, 2, 2, 0}});
  CHECK(listed(plan.instructions) == span_list{{0, 2}, {2, 3}});  // rows of the states that were read
  CHECK(plan.logit_rows == numbers_of_rows{0, 1, 2});
}

TEST_CASE("late soft tokens: some rows wanted, or rows that do not run", "[model]") {
  test_backend backend = with_threads(1);
  packed_batch batch = two_sequences();
  const batch_metadata read = plan_context(batch);
  const auto cache = filled_cache(backend, read);
  batch.logit_rows = {3};
  CHECK(plan_late(batch, 2, read, cache).logit_rows == numbers_of_rows{1});
  batch.logit_rows = {5};
  CHECK(plan_late(batch, 2, read, cache).logit_rows == numbers_of_rows{2});
  for (std::int32_t row : {0, 1, 4}) {
    batch.logit_rows = {row};
    CHECK(message_of<shape_error>([&] { plan_late(batch, 2, read, cache); }) ==
          "late soft tokens: logits are wanted before an instruction's last token");
  }
}

TEST_CASE("batches that cannot be planned", "[model]") {
  const transformer_config config{.vocabulary = 9};
  const auto message = [&](const packed_batch& batch, index_t shortest) {
    return message_of<shape_error>([&] { check(batch, config, shortest); });
  };
  packed_batch batch;
  batch.add({5, 6, 7}, {8});
  batch.add({1});
  CHECK(message(batch, 1) == "nothing thrown");
  CHECK(message(batch, 2) ==
        "sequence 1: an instruction of 1 tokens in 1 rows; at least 2 are needed where soft tokens stand late");
  packed_batch empty;
  empty.add({}, {1, 2});
  CHECK(message(empty, 1) == "sequence 0: an instruction of 0 tokens in 1 rows; at least 1 are needed");
  packed_batch longer = batch;
  longer.sequences[0].instruction = 4;
  CHECK(message(longer, 1) == "sequence 0: an instruction of 4 tokens in 3 rows; at least 1 are needed");
  batch.tokens[2] = 9;
  CHECK(message(batch, 1) == "token 9 is not in the vocabulary of 9");
  batch.tokens[2] = -1;
  CHECK(message(batch, 1) == "token -1 is not in the vocabulary of 9");
}

}  // namespace iapt::test::model_batch_metadata
