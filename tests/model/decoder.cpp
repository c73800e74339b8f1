// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda, cuda_simulated
#include "iapt/model/decoder.hpp"

#include "support/small_model.hpp"

namespace iapt::test::model_decoder {

TEST_CASE("a decoder's steps are those of decoding anew, bit for bit", "[model]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const no_method method;
  packed_batch batch;
  batch.add(small_tokens(5, 1)), batch.add(small_tokens(9, 2)), batch.add(small_tokens(2, 3));
  kv_cache<double, test_backend> cache(backend, lm.config, 3, 30), other(backend, lm.config, 3, 30);
  lm.prefill(batch, cache), lm.prefill(batch, other);
  decoder reader(lm, cache, {2, 0}, method);  // the middle one waits
  for (std::uint64_t i = 0; i < 6; ++i) {     // more often than a GPU needs to record
    CAPTURE(i);
    const auto tokens = small_tokens(2, 10 + i);
    const auto expected = to_host(decode(lm, {{2, tokens[0]}, {0, tokens[1]}}, other));
    CHECK(to_host(reader.step(tokens)) == expected);
  }
  CHECK(cache.filled(0, 0) == 11);
  CHECK(cache.filled(2, 2) == 8);
  CHECK(cache.filled(1, 1) == 9);
  CHECK(to_host(decode(lm, {{1, 7}, {2, 7}}, cache)) == to_host(decode(lm, {{1, 7}, {2, 7}}, other)));
}

TEST_CASE("a sequence that begins as another one goes on as it would have", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  packed_batch batch;
  batch.add(small_tokens(7, 1));
  kv_cache<double, test_backend> cache(backend, lm.config,
                                       {.sequences = 3, .blocks = 9, .block_size = 4, .max_blocks_per_seq = 4});
  kv_cache<double, test_backend> other(backend, lm.config, 1, 12);
  lm.prefill(batch, cache), lm.prefill(batch, other);
  cache.fork(0, 2), cache.fork(0, 1);
  for (const token_id token : {3, 14, 15}) {
    decode(lm, {{0, 9}, {1, token + 1}}, cache);
    const auto expected = to_host(decode(lm, {{0, token}}, other));
    CHECK(difference(to_host(decode(lm, {{2, token}}, cache)), expected) < 1e-12);
  }
}

TEST_CASE("a decoder refuses before it changes anything", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const no_method method;
  packed_batch batch;
  batch.add(small_tokens(4, 1)), batch.add(small_tokens(3, 2));
  kv_cache<double, test_backend> cache(backend, lm.config, 2, 5);
  lm.prefill(batch, cache);
  using decoder_type = decoder<double, test_backend>;
  CHECK(message_of<shape_error>([&] {
          decoder_type(lm, cache, {0, 0}, method);
        }) == "decode: two tokens of sequence 0; give one at a time");
  CHECK(message_of<shape_error>([&] { decoder_type(lm, cache, {2}, method); }) ==
        "kv_cache: there is no sequence 2 among 2");
  decoder_type reader(lm, cache, {0, 1}, method);
  CHECK(message_of<shape_error>([&] { reader.step({1}); }) == "decode: 1 tokens for 2 sequences");
  CHECK(message_of<shape_error>([&] { reader.step({1, 31}); }).find("31") != std::string::npos);
  CHECK(cache.filled(0, 0) == 4);
  reader.step({1, 2});
  CHECK(message_of<shape_error>([&] { reader.step({1, 2}); }) == "kv_cache: no room for 1 more rows after 5 of 5");
  CHECK(cache.filled(0, 1) == 4);
  CHECK(cache.next_position(1) == 4);
}

}  // namespace iapt::test::model_decoder
