// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// Answers of an engine on a batch invariant backend: the same bits, whatever else is served.
#include "iapt/peft/known_methods.hpp"
#include "iapt/serve/engine.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::serve_batch_invariance {
namespace {

constexpr index_t new_tokens = 7;

/// What is asked.
template <class T>
struct question {
  std::vector<token_id> prompt;
  method_ptr<T, test_backend> method;
};
/// What came of it.
struct reply {
  std::vector<token_id> tokens;
  std::vector<double> log_probabilities;
  bool operator==(const reply&) const = default;
};

/// Prompts of different lengths for methods of all kinds.
template <class T>
std::vector<question<T>> questions(const causal_lm<T, test_backend>& lm) {
  using generator = key_value_generator<T, test_backend>;
  const auto iapt = [&](placement where) {
    return make_iapt<generator>(
        lm, {.soft_tokens = 3, .bottleneck = 5, .where = where, .start = prompt_start::random, .seed = 2});
  };
  const std::vector<method_ptr<T, test_backend>> methods{
      nullptr, erase_method(lm, moved(iapt(placement::front), T(0.2))),
      erase_method(lm, moved(iapt(placement::late), T(0.2))),
      erase_method(lm, moved(make_lora(lm, {.rank = 3, .seed = 1}), T(0.2))),
      erase_method(lm, make_p_tuning_v2(lm, {.soft_tokens = 3, .start = prefix_start::random, .seed = 4}))};
  std::vector<question<T>> all;
  for (const std::size_t length : {2, 11, 71, 18})
    for (const auto& method : methods) all.push_back({small_tokens(length, 40 + all.size()), method});
  return all;
}
/// Answers where so many requests come with each pass, and how often one was preempted.
template <class T>
std::pair<std::vector<reply>, std::size_t> serve(const causal_lm<T, test_backend>& lm,
                                                 const std::vector<question<T>>& asked, const engine_options& options,
                                                 std::size_t at_once) {
  engine<T, test_backend> engine(lm, options);
  std::vector<reply> replies(asked.size());
  std::size_t next = 0;
  const auto submit = [&] {
    for (std::size_t i = 0; i < at_once && next < asked.size(); ++i, ++next)
      engine.submit({.prompt = asked[next].prompt,
                     .options = {.max_new = new_tokens, .log_probabilities = 0},
                     .method = asked[next].method,
                     .on_token = [to = &replies[next]](const chosen_token& one) {
                       to->tokens.push_back(one.token);
                       to->log_probabilities.push_back(one.log_probabilities->chosen);
                       return true;
                     }});
  };
  for (submit(); engine.step() || next < asked.size(); submit()) {}
  return {replies, engine.preemptions()};
}

}  // namespace

TEMPLATE_TEST_CASE("a batch invariant backend: the bits of an answer are its own", "[serve]", float, double) {
  test_backend backend({.threads = 2, .batch_invariant = true});
  const auto lm = small_model<TestType>(backend);
  auto asked = questions(lm);
  const cache_size roomy{.sequences = 32, .blocks = 400, .block_size = 4, .max_blocks_per_seq = 24};
  std::vector<reply> alone;
  for (const auto& one : asked) alone.push_back(serve<TestType>(lm, {one}, {.cache = roomy}, 1).first[0]);
  for (const reply& one : alone) REQUIRE(one.tokens.size() == new_tokens);
  // Everything is asked twice, so that some is read from what was read before.
  const auto once = asked;
  const auto answers = alone;
  asked.insert(asked.end(), once.begin(), once.end()), alone.insert(alone.end(), answers.begin(), answers.end());

  const auto check = [&](const engine_options& options, std::size_t at_once) {
    const auto [found, preemptions] = serve(lm, asked, options, at_once);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      CAPTURE(i);
      CHECK(found[i] == alone[i]);
    }
    return preemptions;
  };
  check({.cache = roomy}, asked.size());
  check({.cache = roomy}, 2);
  check({.cache = roomy, .max_prefill_tokens = 3}, 5);
  cache_size other = roomy;
  other.store_hidden_states = true;
  check({.cache = other}, 5);
  other.store_hidden_states = false;  // and blocks of another size
  other.blocks = 40, other.block_size = 7, other.max_blocks_per_seq = 14;
  CHECK(check({.cache = other, .max_prefill_tokens = 24}, asked.size()) > 0);
}

}  // namespace iapt::test::serve_batch_invariance
