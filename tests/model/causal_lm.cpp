// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/model/causal_lm.hpp"

#include "iapt/model/decoder.hpp"

#include "model/methods.hpp"

namespace iapt::test::model_causal_lm {
namespace {

/// Reads prompts, then token after token of the sequences that are not at their ends.
template <class Method>
void check_decoding(const lm_type& lm, const Method& method, const cache_size& size) {
  const std::size_t count = lengths.size();
  packed_batch prompts;
  for (std::size_t b = 0; b < count; ++b) prompts.add(instruction(b));
  cache_type cache(lm.backend(), lm.config, size);
  std::vector<std::vector<double>> found(count);
  const auto take = [&](const matrix& rows, std::size_t i, std::size_t b) {
    for (double v : to_host(rows.slice(index_t(i), index_t(i) + 1))) found[b].push_back(v);
  };
  const matrix first = lm.prefill(prompts, cache, method);
  for (std::size_t b = 0; b < count; ++b) take(first, b, b);
  for (std::size_t step = 0;; ++step) {
    std::vector<std::pair<index_t, token_id>> going;
    for (std::size_t b = count; b-- > 0;)  // in an order that is not the cache's
      if (step + 1 < lengths[b].second) going.push_back({index_t(b), response(b)[step]});
    if (going.empty()) break;
    const matrix next = decode(lm, going, cache, method);
    for (std::size_t i = 0; i < going.size(); ++i) take(next, i, std::size_t(going[i].first));
  }
  for (std::size_t b = 0; b < count; ++b) {
    CAPTURE(b);
    CHECK(difference(found[b], logits(lm, batch_of({b}), method)) <= 1e-12);
    const index_t read = index_t(lengths[b].first + lengths[b].second) - 1 + soft_token_count(method);
    CHECK(cache.next_position(index_t(b)) == read);
    for (index_t l = 0; l < lm.config.layers; ++l) CHECK(cache.filled(l, index_t(b)) == read);
  }
}
/// The same with a cache in one piece for each sequence, and with one in blocks.
template <class Method>
void check_decoding(const lm_type& lm, const Method& method) {
  check_decoding(lm, method, {.sequences = 3, .blocks = 3, .block_size = 7 + 2 + 4, .max_blocks_per_seq = 1});
  check_decoding(lm, method, {.sequences = 3, .blocks = 11, .block_size = 3, .max_blocks_per_seq = 5});
}
/// All sequences in one batch, against each alone.
template <class Method>
void check_packing(const lm_type& lm, const Method& method) {
  std::vector<double> alone;
  for (std::size_t b = 0; b < lengths.size(); ++b)
    for (double v : logits(lm, batch_of({b}), method)) alone.push_back(v);
  CHECK(difference(logits(lm, batch_of({0, 1, 2}), method), alone) <= 1e-12);
}

}  // namespace

TEST_CASE("the model is embedding, layers, norm and head", "[model]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  inference<test_backend> ctx(backend);
  packed_batch batch = batch_of({0, 1});
  const index_t rows = index_t(batch.tokens.size());
  const auto states = lm.layer_inputs(batch);
  REQUIRE(states.size() == 3);
  matrix x = ctx(gather(lm.embedding, row_indices<test_backend>(backend, batch.tokens)));
  const auto frequencies = rope_frequencies(6, lm.config.rope);
  const attention_view<double, test_backend> view{
      {{.begin = 0, .count = 5}, {.begin = 5, .count = 8}},
      rope_cos_sin<double>(backend, frequencies, {0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7})};
  REQUIRE(rows == 13);
  for (std::size_t l = 0; l < 3; ++l) {
    CHECK(difference(to_host(states[l]), to_host(x)) <= 1e-13);
    x = lm.layers[l](ctx, x, lm.layers[l].attention_norm(ctx, x), no_method{}, int(l), view).y;
  }
  const auto all = to_host(ctx(matmul(lm.final_norm(ctx, x), transposed(lm.head))));
  for (const std::vector<std::int32_t>& wanted : {std::vector<std::int32_t>{0, 3, 5, 12}, {7}, batch.logit_rows}) {
    batch.logit_rows = wanted;
    std::vector<double> expected;
    for (std::int32_t r : wanted)
      expected.insert(expected.end(), all.begin() + r * vocabulary, all.begin() + (r + 1) * vocabulary);
    CHECK(difference(logits(lm, batch), expected) <= 1e-12);
  }
}

TEST_CASE("the base model records nothing", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  tape<test_backend> t(backend);
  const auto y = lm(t, batch_of({0, 1}));
  CHECK(t.size() == 0);
  CHECK(to_host(y) == logits(lm, batch_of({0, 1})));
}

TEST_CASE("several sequences read and continued together equal each alone", "[model]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  SECTION("no method") { check_packing(lm, no_method{}), check_decoding(lm, no_method{}); }
  SECTION("every hook") {
    const auto method = with_everything(backend);
    CHECK(difference(logits(lm, batch_of({0}), method), logits(lm, batch_of({0}))) > 0.01);
    check_packing(lm, method), check_decoding(lm, method);
  }
  SECTION("hooks and soft tokens in front") {
    const auto method = with_soft_tokens(backend, placement::front);
    check_packing(lm, method), check_decoding(lm, method);
  }
  SECTION("hooks and late soft tokens") {
    const auto method = with_soft_tokens(backend, placement::late);
    check_packing(lm, method), check_decoding(lm, method);
  }
}

TEST_CASE("what a model cannot read, and what a cache cannot hold", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto reading = [&](const packed_batch& batch, const auto& method) {
    return message_of<shape_error>([&] { logits(lm, batch, method); });
  };
  packed_batch unknown, empty, brief;
  unknown.add({1, 31}, {2}), empty.add({}, {1}), brief.add({1, 2}, {3}), brief.add({1}, {2});
  CHECK(reading(unknown, no_method{}) == "token 31 is not in the vocabulary of 31");
  CHECK(reading(empty, no_method{}) == "sequence 0: an instruction of 0 tokens in 0 rows; at least 1 are needed");
  CHECK(reading(brief, with_soft_tokens(backend, placement::front)) == "nothing thrown");
  CHECK(reading(brief, with_soft_tokens(backend, placement::late)) ==
        "sequence 1: an instruction of 1 tokens in 1 rows; at least 2 are needed where soft tokens stand late");

  const auto filling = [&](const packed_batch& batch, const auto& method, index_t room) {
    cache_type cache(backend, lm.config, index_t(batch.sequences.size()), room);
    return message_of<shape_error>([&] { lm.prefill(batch, cache, method); });
  };
  packed_batch prompt;
  prompt.add({1, 2, 3});
  CHECK(filling(unknown, no_method{}, 9) == "token 31 is not in the vocabulary of 31");
  CHECK(filling(prompt, no_method{}, 2) == "kv_cache: no room for 3 more rows after 0 of 2");
  CHECK(filling(prompt, no_method{}, 3) == "nothing thrown");
  CHECK(filling(prompt, with_soft_tokens(backend, placement::front), 4) ==
        "kv_cache: no room for 5 more rows after 0 of 4");
  CHECK(filling(prompt, with_soft_tokens(backend, placement::late), 4) ==
        "kv_cache: no room for 5 more rows after 0 of 4");

  cache_type cache(backend, lm.config, 1, 3);
  lm.prefill(prompt, cache);
  CHECK(message_of<shape_error>([&] {
          decode(lm, {{0, 4}}, cache);
        }) == "kv_cache: no room for 1 more rows after 3 of 3");
  cache_type roomy(backend, lm.config, 1, 4);
  lm.prefill(prompt, roomy);
  for (token_id token : {31, -1})
    CHECK(message_of<shape_error>([&] {
            decode(lm, {{0, token}}, roomy);
          }).find(std::to_string(token)) != std::string::npos);
}

TEST_CASE("a decode that is refused leaves the cache as it was", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  packed_batch prompts;
  prompts.add({1}), prompts.add({1, 2, 3});
  kv_cache<double, test_backend> tried(backend, lm.config, 2, 4), fresh(backend, lm.config, 2, 4);
  lm.prefill(prompts, tried), lm.prefill(prompts, fresh);
  const auto refused = [&](const std::vector<std::pair<index_t, token_id>>& tokens) {
    return message_of<shape_error>([&] { decode(lm, tokens, tried); });
  };
  CHECK(refused({{0, 4}, {1, 31}}) == "token 31 is not in the vocabulary of 31");
  CHECK(refused({{0, 4}, {2, 4}}) == "kv_cache: there is no sequence 2 among 2");
  CHECK_THAT(refused({{0, 4}, {0, 5}}), has_text("two tokens of sequence 0"));
  CHECK(to_host(decode(lm, {{0, 4}, {1, 4}}, tried)) == to_host(decode(lm, {{0, 4}, {1, 4}}, fresh)));
  CHECK_THAT(refused({{0, 4}, {1, 4}}), has_text("no room for 1 more rows after 4 of 4"));
  CHECK(to_host(decode(lm, {{0, 4}}, tried)) == to_host(decode(lm, {{0, 4}}, fresh)));

  CHECK_THAT(message_of<shape_error>([&] { lm.prefill(prompts, tried); }), has_text("rows already"));
  prompts.add({5});
  kv_cache<double, test_backend> small(backend, lm.config, 2, 4);
  CHECK_THAT(message_of<shape_error>([&] { lm.prefill(prompts, small); }), has_text("no sequence 2 among 2"));
}

}  // namespace iapt::test::model_causal_lm
