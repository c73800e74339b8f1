// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/serve/engine.hpp"

#include <limits>

#include "iapt/peft/known_methods.hpp"
#include "iapt/serve/generate.hpp"
#include "model/methods.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::serve_engine {
namespace {

using engine_type = engine<double, test_backend>;
using method_type = method_ptr<double, test_backend>;

/// A request and what must come of it, as its method alone continues its prompt alone.
struct expectation {
  method_type method;
  std::vector<token_id> prompt, answer;
  std::vector<double> log_probabilities;
};
/// What an engine gave.
struct outcome_of_request {
  std::vector<token_id> answer;
  std::vector<double> log_probabilities;
  std::vector<finish_reason> ends;
};

constexpr index_t new_tokens = 9;
const std::vector<token_id> alike_tokens = small_tokens(9, 39);
generation_options greedy(index_t max_new = new_tokens) { return {.max_new = max_new, .log_probabilities = 0}; }

/// A method that asks for steps of its own.
template <class Method>
struct alone : Method {
  static constexpr bool mixable = false;
};

/// Prompts of different lengths, which begin alike or not, continued by one method alone.
template <class Method>
void expect(const lm_type& lm, std::vector<expectation>& all, const Method& method, method_type shared, bool alike) {
  for (const std::size_t length : {2, 11, 5}) {
    auto prompt = small_tokens(length, 40 + all.size());
    if (alike) prompt.insert(prompt.begin(), alike_tokens.begin(), alike_tokens.end());
    std::vector<double> log_probabilities;
    const auto answer = generate(lm, method, {prompt}, greedy(), [&](const generated_token& one) {
      log_probabilities.push_back(one.log_probabilities->chosen);
      return true;
    });
    all.push_back({shared, prompt, answer[0], log_probabilities});
  }
}
/// All kinds of methods, two tenants of some.
std::vector<expectation> tenants(const lm_type& lm, bool alike = false) {
  std::vector<expectation> all;
  expect(lm, all, no_method{}, nullptr, alike);
  const auto add = [&](const auto& method) { expect(lm, all, method, erase_method(lm, method), alike); };
  using generator = key_value_generator<double, test_backend>;
  for (const placement where : {placement::front, placement::late})
    for (const index_t soft_tokens : {2, 3})
      add(moved(make_iapt<generator>(lm, {.soft_tokens = soft_tokens,
                                          .bottleneck = 4,
                                          .where = where,
                                          .start = prompt_start::random,
                                          .seed = std::uint64_t(soft_tokens)}),
                0.2));
  add(moved(make_lora(lm, {.rank = 2, .seed = 1}), 0.2));
  add(moved(make_lora(lm, {.rank = 3, .targets = {"q_proj", "down_proj"}}), 0.2));
  add(make_p_tuning_v2(lm, {.soft_tokens = 3, .start = prefix_start::random, .seed = 4}));
  return all;
}
/// Methods with the other hooks, and two that cannot be mixed.
std::vector<expectation> other_tenants(const lm_type& lm) {
  std::vector<expectation> all;
  const auto add = [&](const auto& method) { expect(lm, all, method, erase_method(lm, method), false); };
  expect(lm, all, no_method{}, nullptr, false);
  add(hooked<method_of<scale_hook>>(lm.backend()));
  add(hooked<method_of<bias_hook>>(lm.backend()));
  add(hooked<all_hooks>(lm.backend()));
  auto scaled_embeddings = hooked<everything>(lm.backend());
  scaled_embeddings.gain = tracked<double>(lm.backend(), random({width}, 300));
  add(scaled_embeddings);
  add(moved(make_ia3(lm), 0.3));
  add(moved(make_ia3(lm, {.targets = {"all-linear"}}), 0.3));
  add(alone<all_hooks>{hooked<all_hooks>(lm.backend())});
  using raw_generator = prompt_generator<double, test_backend, self_attention_pooler<double, test_backend>,
                                         rational_activation<double, test_backend>,
                                         key_value_space<double, test_backend>, state_input::raw>;
  for (const placement where : {placement::front, placement::late})
    add(moved(make_iapt<raw_generator>(
                  lm, {.soft_tokens = 2, .bottleneck = 4, .where = where, .start = prompt_start::random, .seed = 9}),
              0.2));
  add(moved(make_lora(lm, {.rank = 2, .seed = 1}), 0.2));
  return all;
}

engine_request<double, test_backend> request_of(const expectation& e, outcome_of_request& to) {
  return {.prompt = e.prompt,
          .options = greedy(),
          .method = e.method,
          .on_token =
              [&to](const chosen_token& one) {
                to.answer.push_back(one.token);
                to.log_probabilities.push_back(one.log_probabilities->chosen);
                return true;
              },
          .on_finish = [&to](finish_reason why) { to.ends.push_back(why); }};
}
/// Serves all requests, a few more with each pass, and compares. Returns how often one was preempted.
std::size_t serve(const lm_type& lm, const std::vector<expectation>& expected, const engine_options& options,
                  std::size_t at_once) {
  engine_type engine(lm, options);
  std::vector<outcome_of_request> found(expected.size());
  std::size_t next = 0, passes = 0;
  const auto submit = [&] {
    for (std::size_t i = 0; i < at_once && next < expected.size(); ++i, ++next)
      engine.submit(request_of(expected[next], found[next]));
  };
  for (submit(); engine.step() || next < expected.size(); submit()) REQUIRE(++passes < 3000);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(found[i].answer == expected[i].answer);
    CHECK(difference(found[i].log_probabilities, expected[i].log_probabilities) < 1e-10);
    CHECK(found[i].ends == std::vector{finish_reason::length});
  }
  CHECK(engine.running() == 0);
  CHECK(engine.waiting() == 0);
  CHECK(engine.cache().free_blocks() + engine.cache().evictable_blocks() == options.cache.blocks);
  return engine.preemptions();
}

}  // namespace

TEST_CASE("a request gets what it would get alone, whatever else is served", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const auto expected = tenants(lm);
  const cache_size roomy{.sequences = 32, .blocks = 200, .block_size = 4, .max_blocks_per_seq = 8};
  CHECK(serve(lm, expected, {.cache = roomy}, expected.size()) == 0);
  CHECK(serve(lm, expected, {.cache = roomy}, 2) == 0);
  CHECK(serve(lm, expected, {.cache = roomy, .max_prefill_tokens = 3}, 5) == 0);
  // Hardly more memory than one request takes: they preempt each other.
  cache_size tight = roomy;
  tight.blocks = 15;
  CHECK(serve(lm, expected, {.cache = tight}, expected.size()) > 0);
  CHECK(serve(lm, expected, {.cache = tight, .max_prefill_tokens = 4}, 3) > 0);
  tight.sequences = 1;
  CHECK(serve(lm, expected, {.cache = tight}, expected.size()) == 0);
}

TEST_CASE("a method is itself where its type is known at run time only", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const auto all = tenants(lm);
  for (std::size_t i = 0; i < all.size(); i += 3) {  // three prompts each
    const auto method = all[i].method ? all[i].method : erase_method(lm, no_method{});
    CHECK(generate(lm, *method, {all[i].prompt, all[i + 1].prompt, all[i + 2].prompt}, greedy()) ==
          std::vector{all[i].answer, all[i + 1].answer, all[i + 2].answer});
  }
}

TEST_CASE("methods with any hooks are served, in steps of their own if they cannot be mixed", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const auto expected = other_tenants(lm);
  cache_size size{.sequences = 32, .blocks = 200, .block_size = 4, .max_blocks_per_seq = 8};
  for (const bool stored : {false, true}) {
    size.store_hidden_states = stored;
    CHECK(serve(lm, expected, {.cache = size}, expected.size()) == 0);
    CHECK(serve(lm, expected, {.cache = size, .max_prefill_tokens = 3}, 5) == 0);
  }
  size.blocks = 15;
  CHECK(serve(lm, expected, {.cache = size, .max_prefill_tokens = 4}, 3) > 0);
}

TEST_CASE("requests that begin alike share what was read of them, and get what they would get alone", "[serve]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  auto expected = tenants(lm, true);
  const auto once = expected;
  expected.insert(expected.end(), once.begin(), once.end());  // the same prompts again
  cache_size size{.sequences = 32, .blocks = 400, .block_size = 4, .max_blocks_per_seq = 10};
  for (const bool store_hidden_states : {false, true}) {
    size.store_hidden_states = store_hidden_states;
    CHECK(serve(lm, expected, {.cache = size}, expected.size()) == 0);
    CHECK(serve(lm, expected, {.cache = size}, 1) == 0);
    CHECK(serve(lm, expected, {.cache = size, .max_prefill_tokens = 3}, 5) == 0);
    cache_size tight = size;
    tight.blocks = 18;
    CHECK(serve(lm, expected, {.cache = tight, .max_prefill_tokens = 4}, 3) > 0);
  }
}

TEST_CASE("an engine reads again what it may not share, and nothing else", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto all = tenants(lm, true);  // three each: base model, front twice, late twice, LoRA twice, P-tuning v2
  const auto reused = [&](std::vector<std::size_t> requests, bool store_hidden_states, bool shares = true,
                          index_t block_size = 4) {
    engine_type engine(lm, {.cache = {.sequences = 2,
                                      .blocks = 100,
                                      .block_size = block_size,
                                      .max_blocks_per_seq = 10,
                                      .store_hidden_states = store_hidden_states},
                            .prefix_caching = shares});
    std::vector<std::size_t> found;
    for (const std::size_t i : requests) {
      outcome_of_request out;
      const std::size_t before = engine.reused_tokens();
      engine.submit(request_of(all[i], out));
      while (engine.step()) {}
      CHECK(out.answer == all[i].answer);
      CHECK(difference(out.log_probabilities, all[i].log_probabilities) < 1e-10);
      found.push_back(engine.reused_tokens() - before);
    }
    return found;
  };
  using counts = std::vector<std::size_t>;
  constexpr std::size_t base = 0, front = 3, late = 9, other_late = 12, lora = 15, other_lora = 18, prefix = 21;
  // Prompts of 11, 20 and 14 tokens, of which the first nine are the same.
  CHECK(reused({base, base + 1, base + 1, base + 1}, false) == counts{0, 8, 16, 16});
  CHECK(reused({base, base + 1, base + 1}, false, false) == counts{0, 0, 0});
  CHECK(reused({lora, lora + 1, other_lora, other_lora + 2, base, lora + 2}, false) == counts{0, 8, 0, 8, 0, 8});
  // Late, the base model's rows are anybody's, if what entered the layers is there.
  CHECK(reused({base, late + 1, late + 1, other_late + 1, base + 1}, true) == counts{0, 8, 16, 8, 8});
  CHECK(reused({late + 1, base + 1, other_late + 1}, false) == counts{0, 8, 0});
  CHECK(reused({base, late, late}, true, true, 5) == counts{0, 5, 10});  // all but the last token
  // Two soft tokens in front were written from the whole prompt; three of P-tuning v2 are always the same.
  CHECK(reused({front, front + 1, front + 1, front + 4}, true) == counts{0, 0, 18, 0});
  CHECK(reused({prefix, prefix + 1, prefix + 2}, true) == counts{0, 9, 9});
}

TEST_CASE("requests end in their own ways", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  std::vector<expectation> one;
  expect(lm, one, no_method{}, nullptr, false);
  const engine_options options{.cache = {.sequences = 8, .blocks = 40, .block_size = 4, .max_blocks_per_seq = 8}};
  engine_type engine(lm, options);
  outcome_of_request stopped, cancelled, nothing, failed, other;
  auto request = request_of(one[1], stopped);
  request.options.stop = {one[1].answer[3]};
  engine.submit(request);
  request = request_of(one[1], cancelled);
  request.on_token = [&](const chosen_token& token) {
    cancelled.answer.push_back(token.token);
    return cancelled.answer.size() < 2;
  };
  engine.submit(request);
  request = request_of(one[1], nothing);
  request.options.max_new = 0;
  engine.submit(request);
  // An adapter that gives what is no number is its own tenant's trouble.
  auto broken = make_lora(lm, {.rank = 1, .targets = {"v_proj"}});
  upload(broken.layers[0][2].up, std::vector<double>(12, std::numeric_limits<double>::quiet_NaN()));
  request = request_of(one[1], failed);
  request.method = erase_method(lm, broken);
  engine.submit(request);
  engine.submit(request_of(one[1], other));
  while (engine.step()) {}
  const auto first = [&](std::size_t count) {
    return std::vector<token_id>(one[1].answer.begin(), one[1].answer.begin() + std::ptrdiff_t(count));
  };
  const auto until = std::find(one[1].answer.begin(), one[1].answer.end(), one[1].answer[3]) - one[1].answer.begin();
  CHECK(stopped.answer == first(std::size_t(until)));
  CHECK(stopped.ends == std::vector{finish_reason::stop});
  CHECK(cancelled.answer == first(2));
  CHECK(cancelled.ends == std::vector{finish_reason::cancelled});
  CHECK(nothing.answer.empty());
  CHECK(nothing.ends == std::vector{finish_reason::length});
  CHECK(failed.answer.empty());
  CHECK(failed.ends == std::vector{finish_reason::failed});
  CHECK(other.answer == one[1].answer);
  CHECK(engine.cache().free_blocks() + engine.cache().evictable_blocks() == 40);
}

namespace {

/// A method that nobody should write.
struct late_with_delta {
  static constexpr hook_set hooks{hook::delta, hook::prefix};
  using matrix = tensor<double, 2, test_backend>;
  index_t soft_tokens() const { return 1; }
  placement where() const { return placement::late; }
  template <class Context>
  key_values<double, test_backend> prefix(Context&, int, const decoder_layer<double, test_backend>&, const matrix&,
                                          const std::vector<row_span>&, const matrix&) const {
    return {};
  }
  template <class Context>
  matrix delta(Context&, target_module, const matrix&) const {
    return {};
  }
};

}  // namespace

TEST_CASE("an engine refuses what it could never read", "[serve]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  engine_type engine(lm, {.cache = {.sequences = 2, .blocks = 5, .block_size = 4, .max_blocks_per_seq = 8}});
  const auto late = erase_method(
      lm, make_iapt<key_value_generator<double, test_backend>>(
              lm, {.soft_tokens = 3, .bottleneck = 4, .where = placement::late, .start = prompt_start::random}));
  const auto refused = [&](std::vector<token_id> prompt, generation_options options, method_type method = {}) {
    return message_of<error>([&] { engine.submit({.prompt = prompt, .options = options, .method = method}); });
  };
  CHECK(refused({}, {}).find("at least 1 are needed") != std::string::npos);
  CHECK(refused({1}, {}, late).find("at least 2 are needed") != std::string::npos);
  using short_reader =
      prompt_generator<double, test_backend, first_pooler<double, test_backend>,
                       rational_activation<double, test_backend>, key_value_space<double, test_backend>>;
  for (const placement where : {placement::front, placement::late}) {
    const auto first =
        erase_method(lm, make_iapt<short_reader>(
                             lm, {.soft_tokens = 2, .bottleneck = 4, .where = where, .start = prompt_start::random}));
    const std::string least = where == placement::late ? "at least 3" : "at least 2";
    CHECK(refused(std::vector<token_id>(where == placement::late ? 2 : 1), {}, first).find(least) != std::string::npos);
  }
  CHECK_THROWS_AS(engine_type(lm, {.max_prefill_tokens = 0}), error);
  CHECK(
      refused({1, 2}, {}, erase_method(lm, late_with_delta{})).find("the base model computes the tokens before them") !=
      std::string::npos);
  CHECK(refused({1, 31}, {}).find("token 31") != std::string::npos);
  CHECK(refused({1}, {.max_new = 21}).find("an answer of 21 take more rows of the cache than the 20 that it has") !=
        std::string::npos);
  CHECK(refused({1, 2}, {.max_new = 17}, late).find("take more rows") != std::string::npos);
  CHECK(refused({1}, {.max_new = INT64_MAX}).find("take more rows") != std::string::npos);
  CHECK(refused({1}, {.max_new = 2, .sampling = {.temperature = -1}}).find("temperature") != std::string::npos);
  CHECK(refused({1}, {.max_new = 2, .log_probabilities = 21}).find("21") != std::string::npos);
  CHECK(refused({1}, {.beams = 3}).find("3 beams, but it has places for 2") != std::string::npos);
  CHECK(refused({1}, {.max_new = 12, .beams = 2}).find("take 8 blocks of the cache, which has 5") != std::string::npos);
  CHECK(engine.waiting() == 0);
  CHECK_FALSE(engine.step());
  CHECK(refused({1}, {.max_new = 20}) == "nothing thrown");
}

}  // namespace iapt::test::serve_engine
