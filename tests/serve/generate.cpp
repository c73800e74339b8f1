// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/serve/generate.hpp"

#include <set>

#include "support/small_model.hpp"

namespace iapt::test::serve_generate {

namespace {

using model = causal_lm<double, test_backend>;
using tokens = std::vector<token_id>;

const std::vector<tokens> prompts{small_tokens(5, 5), small_tokens(9, 2), small_tokens(2, 3)};

/// The logits behind a text, without a cache.
std::vector<double> logits_after(const model& lm, tokens text) {
  packed_batch batch;
  batch.add(text);
  kv_cache<double, test_backend> unused(lm.backend(), lm.config, 1, index_t(text.size()));
  return to_host(lm.prefill(batch, unused));
}

/// Sampled generation by the definition: the whole text is read again for each token.
tokens sampled(const model& lm, const tokens& prompt, const generation_options& options) {
  sampler sample;
  tokens text = prompt, answer;
  while (index_t(answer.size()) < options.max_new) {
    const auto logits = logits_after(lm, text);
    answer.push_back(sample(std::span<const double>(logits), options.sampling, {prompt, answer}));
    text.push_back(answer.back());
  }
  return answer;
}

/// The same, greedily.
tokens greedy(const model& lm, tokens text, std::size_t count) {
  const std::size_t prompt = text.size();
  while (text.size() < prompt + count) {
    const auto logits = logits_after(lm, text);
    text.push_back(token_id(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  }
  return {text.begin() + std::ptrdiff_t(prompt), text.end()};
}

}  // namespace

TEST_CASE("generation is greedy unless asked otherwise, alone and beside sampled prompts", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  std::vector<tokens> expected;
  for (const tokens& prompt : prompts) expected.push_back(greedy(lm, prompt, 8));
  CHECK(generate(lm, no_method{}, prompts, {.max_new = 8}) == expected);
  const generation_options plain{.max_new = 8}, listed{.max_new = 8, .log_probabilities = 2},
      drawn{.max_new = 8, .sampling = {.temperature = 4}};
  const auto mixed = generate(lm, no_method{}, prompts, std::vector{plain, drawn, listed});
  CHECK(mixed[0] == expected[0]);
  CHECK(mixed[1] != expected[1]);
  CHECK(mixed[2] == expected[2]);
}

TEST_CASE("each prompt has its own options, and gets what it would get alone", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const std::vector<generation_options> options{
      {.max_new = 12, .sampling = {.temperature = 4, .seed = 7}},
      {.max_new = 3, .sampling = {.temperature = 3, .top_p = 0.9, .repetition_penalty = 1.2, .seed = 7}},
      {.max_new = 7, .sampling = {.frequency_penalty = 2, .presence_penalty = 2}}};
  const auto together = generate(lm, no_method{}, prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    CAPTURE(i);
    CHECK(together[i].size() == std::size_t(options[i].max_new));
    CHECK(generate(lm, no_method{}, {prompts[i]}, options[i])[0] == together[i]);
    CHECK(sampled(lm, prompts[i], options[i]) == together[i]);
  }
  const generation_options penalty{.max_new = 8, .sampling = {.repetition_penalty = 3}};  // of the prompt, too
  CHECK(generate(lm, no_method{}, {prompts[1]}, penalty)[0] == sampled(lm, prompts[1], penalty));
  const tokens repeated = greedy(lm, prompts[2], 7);
  const auto distinct = [](const tokens& ids) { return std::set<token_id>(ids.begin(), ids.end()).size(); };
  CHECK(distinct(together[2]) > distinct(repeated));
  auto other = options;
  other[0].sampling.seed = 8;
  const auto again = generate(lm, no_method{}, prompts, other);
  CHECK(again[0] != together[0]);
  CHECK(again[1] == together[1]);
}

TEST_CASE("generation ends at a stop token, at the length, or when the listener says so", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const tokens answer = greedy(lm, prompts[0], 8);
  const auto last = std::find_if(answer.begin(), answer.end(), [&](token_id id) { return id != answer[0]; });
  REQUIRE(last != answer.end());
  CHECK(generate(lm, no_method{}, {prompts[0]}, {.max_new = 8, .stop = {-1, *last}})[0] ==
        tokens(answer.begin(), last));
  CHECK(generate(lm, no_method{}, {prompts[0]}, {.max_new = -1})[0].empty());
  CHECK(generate(lm, no_method{}, {}, {.max_new = 8}).empty());

  std::vector<tokens> heard(prompts.size());
  const auto answers = generate(lm, no_method{}, prompts, {.max_new = 8}, [&](const generated_token& one) {
    CHECK_FALSE(one.log_probabilities);
    heard[one.prompt].push_back(one.token);
    return one.prompt != 1 || heard[1].size() < 2;
  });
  CHECK(answers == heard);
  CHECK(answers[0] == answer);
  CHECK(answers[1].size() == 2);  // the token that ended it is part of it
  CHECK(answers[2].size() == 8);
}

TEST_CASE("log-probabilities are those of the unchanged logits, for who asks", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const generation_options asks{.max_new = 4,
                                .sampling = {.temperature = 2, .top_k = 5, .repetition_penalty = 1.5, .seed = 1},
                                .log_probabilities = 3};
  std::vector<tokens> text = prompts;
  generate(lm, no_method{}, prompts, std::vector{asks, generation_options{.max_new = 4}, asks},
           [&](const generated_token& one) {
             CHECK(one.log_probabilities.has_value() == (one.prompt != 1));
             if (one.log_probabilities) {
               const auto logits = logits_after(lm, text[one.prompt]);
               double sum = 0;
               for (const double x : logits) sum += std::exp(x);
               const auto expected = [&](token_id v) { return logits[std::size_t(v)] - std::log(sum); };
               CHECK(one.log_probabilities->chosen == Approx(expected(one.token)).epsilon(1e-9));
               REQUIRE(one.log_probabilities->top.size() == 3);
               for (const scored_token& top : one.log_probabilities->top)
                 CHECK(top.log_probability == Approx(expected(top.token)).epsilon(1e-9));
             }
             text[one.prompt].push_back(one.token);
             return true;
           });
}

TEST_CASE("log-probabilities of greedy prompts alone", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  std::size_t heard = 0;
  generate(lm, no_method{}, prompts, {.max_new = 3, .log_probabilities = 1}, [&](const generated_token& one) {
    REQUIRE(one.log_probabilities);
    CHECK(one.log_probabilities->top[0].token == one.token);
    CHECK(one.log_probabilities->top[0].log_probability == one.log_probabilities->chosen);
    return ++heard > 0;
  });
  CHECK(heard == 9);
}

TEST_CASE("generation refuses options that make no sense before it reads", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const std::vector<tokens> unreadable{{1}, {2}, {31}};  // of 31 tokens
  std::vector<generation_options> options(3);
  const auto refusal = [&] { return message_of<error>([&] { generate(lm, no_method{}, unreadable, options); }); };
  CHECK_THAT(refusal(), has_text("31"));
  options[2].sampling.top_p = 2;
  CHECK(refusal() == "sampling: top_p must be over 0 and at most 1, found 2");
  options[2] = {.log_probabilities = 21};
  CHECK(refusal() == "log_probabilities: from 0 to 20 alternatives can be listed, not 21");
  options.pop_back();
  CHECK(refusal() == "generate: options for 2 of 3 prompts");
}

}  // namespace iapt::test::serve_generate
