// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
// How likely the tokens of a prompt were: the same as the model says of all rows at once.
#include "iapt/peft/known_methods.hpp"
#include "iapt/serve/engine.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::serve_engine_prompts {
namespace {

using engine_type = engine<double, test_backend>;
using method_type = method_ptr<double, test_backend>;

struct heard {
  std::vector<token_id> prompt = {}, answer = {};
  std::vector<double> values = {};  // of the prompt's tokens from the second on
  std::vector<token_id> likeliest = {};
  std::vector<finish_reason> ends = {};
};

engine_type::request_type request_of(std::vector<token_id> prompt, index_t max_new, method_type method, heard& to) {
  return {.prompt = std::move(prompt),
          .options = {.max_new = max_new, .log_probabilities = 2},
          .method = std::move(method),
          .on_token = [&to](const chosen_token& one) { return to.answer.push_back(one.token), true; },
          .on_finish = [&to](finish_reason why) { to.ends.push_back(why); },
          .on_prompt_token =
              [&to](const chosen_token& one) {
                CHECK(one.log_probabilities.has_value() == !to.prompt.empty());
                to.prompt.push_back(one.token);
                if (!one.log_probabilities) return;
                to.values.push_back(one.log_probabilities->chosen);
                to.likeliest.push_back(one.log_probabilities->top.at(0).token);
                CHECK(one.log_probabilities->top.size() == 2);
              }};
}

/// Checks what was heard of a prompt against the logits of all its rows.
template <class Method>
void check(const causal_lm<double, test_backend>& lm, const Method& method, const std::vector<token_id>& prompt,
           const heard& found) {
  packed_batch batch;
  batch.add(prompt);
  batch.logit_rows.clear();
  for (std::size_t i = 0; i < prompt.size(); ++i) batch.logit_rows.push_back(std::int32_t(i));
  const std::vector<double> rows = logits(lm, batch, method);
  CHECK(found.prompt == prompt);
  REQUIRE(found.values.size() == prompt.size() - 1);
  for (std::size_t i = 0; i + 1 < prompt.size(); ++i) {
    const auto expected = log_probabilities(std::span(rows).subspan(i * 31, 31), prompt[i + 1], 1);
    CHECK(found.values[i] == Approx(expected.chosen).margin(1e-10));
    CHECK(found.likeliest[i] == expected.top[0].token);
  }
}

}  // namespace

TEST_CASE("an engine tells how likely the tokens of prompts were", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const auto lora = moved(make_lora(lm, {.rank = 2, .seed = 1}), 0.2);
  const auto prefix = make_p_tuning_v2(lm, {.soft_tokens = 3, .start = prefix_start::random, .seed = 4});
  const auto shared_lora = erase_method(lm, lora), shared_prefix = erase_method(lm, prefix);
  cache_size size{.sequences = 8, .blocks = 80, .block_size = 4, .max_blocks_per_seq = 30};
  const auto prompt = small_tokens(19, 5), same_start = small_tokens(19, 5), other = small_tokens(90, 6);
  for (const auto& [rows, blocks] : {std::pair<index_t, index_t>{512, 80}, {5, 80}, {5, 32}}) {
    CAPTURE(rows, blocks);
    size.blocks = blocks;
    engine_type engine(lm, {.cache = size, .max_prefill_tokens = rows});
    heard plain, again, adapted, prefixed, long_one;
    engine.submit(request_of(prompt, 0, {}, plain));
    engine.submit(request_of(prompt, 4, {}, again));  // though another has read its rows
    engine.submit(request_of(same_start, 1, shared_lora, adapted));
    engine.submit(request_of(prompt, 2, shared_prefix, prefixed));
    engine.submit(request_of(other, 1, {}, long_one));
    for (int passes = 0; engine.step();) REQUIRE(++passes < 1000);
    check(lm, no_method{}, prompt, plain);
    check(lm, no_method{}, prompt, again);
    check(lm, lora, same_start, adapted);
    check(lm, prefix, prompt, prefixed);
    check(lm, no_method{}, other, long_one);
    CHECK(plain.answer.empty());
    CHECK(again.answer.size() == 4);
    CHECK(adapted.answer.size() == 1);
    for (const heard* one : {&plain, &again, &adapted, &prefixed, &long_one})
      CHECK(one->ends == std::vector{finish_reason::length});
    CHECK(engine.reused_tokens() == 0);
    CHECK(engine.cache().free_blocks() + engine.cache().evictable_blocks() == blocks);
  }
}

TEST_CASE("an engine tells how likely the token was that ends an answer", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  engine_type engine(lm, {});
  heard open, stopped;
  engine.submit(request_of(small_tokens(6, 1), 2, {}, open));
  while (engine.step()) {}
  auto request = request_of(small_tokens(6, 1), 2, {}, stopped);
  request.options.stop = {open.answer[0]};
  engine.submit(std::move(request));
  while (engine.step()) {}
  CHECK(stopped.ends == std::vector{finish_reason::stop});
  CHECK(stopped.answer.empty());
  CHECK(stopped.values.size() == 6);
  CHECK(stopped.prompt.back() == open.answer[0]);
}

TEST_CASE("an engine scores no prompt that soft tokens were written from", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  engine_type engine(lm, {});
  for (const placement where : {placement::front, placement::late}) {
    const auto method =
        erase_method(lm, make_iapt<key_value_generator<double, test_backend>>(
                             lm, {.soft_tokens = 2, .bottleneck = 4, .where = where, .start = prompt_start::random}));
    heard none;
    CHECK(message_of<error>([&] {
            engine.submit(request_of(small_tokens(6, 1), 1, method, none));
          }).find("have seen all of it") != std::string::npos);
  }
}

}  // namespace iapt::test::serve_engine_prompts
