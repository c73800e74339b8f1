// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
// Many tenants on a backbone in bfloat16.
#include "iapt/model/random.hpp"
#include "iapt/peft/known_methods.hpp"
#include "iapt/serve/engine.hpp"
#include "iapt/serve/generate.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::serve_engine_bfloat16 {
namespace {

template <class Backend>
void check_bfloat16() {
  if constexpr (Backend::stores_bfloat16) {
    const generation_options greedy{.max_new = 9, .log_probabilities = 0};
    Backend backend = with_threads(2);
    const auto lm = random_causal_lm<bfloat16>(backend, small_model(backend).config);
    engine<bfloat16, Backend> engine(
        lm, {.cache = {
                 .sequences = 8, .blocks = 40, .block_size = 4, .max_blocks_per_seq = 8, .store_hidden_states = true}});
    std::vector<std::vector<chosen_token>> alone(8), together(8);
    std::size_t number = 0;
    const auto ask = [&](const auto& method, method_ptr<bfloat16, Backend> shared) {
      for (const std::size_t length : {11, 5}) {
        const auto prompt = small_tokens(length, 60 + number);
        const auto keep = [](std::vector<chosen_token>& list) {
          return [&list](const auto& one) { return list.push_back({one.token, one.log_probabilities}), true; };
        };
        generate(lm, method, {prompt}, greedy, keep(alone[number]));
        engine.submit({.prompt = prompt, .options = greedy, .method = shared, .on_token = keep(together[number])});
        ++number;
      }
    };
    ask(no_method{}, nullptr);
    const auto add = [&](const auto& method) { ask(method, erase_method(lm, method)); };
    for (const placement where : {placement::front, placement::late})
      add(moved(make_iapt<key_value_generator<float, Backend>>(
                    lm, {.soft_tokens = 3, .bottleneck = 4, .where = where, .start = prompt_start::random}),
                0.2));
    add(moved(make_lora(lm, {.rank = 2}), 0.2));
    while (engine.step()) {}
    for (std::size_t i = 0; i < number; ++i) {
      CAPTURE(i);
      REQUIRE(together[i].size() == alone[i].size());
      for (std::size_t k = 0; k < alone[i].size(); ++k) {
        CHECK(std::abs(together[i][k].log_probabilities->chosen - alone[i][k].log_probabilities->chosen) < 0.1);
        if (together[i][k].token != alone[i][k].token) break;  // two are as likely
      }
    }
  }
}

}  // namespace

TEST_CASE("with a backbone in bfloat16, a request gets what it would get alone", "[serve]") {
  check_bfloat16<test_backend>();
}

}  // namespace iapt::test::serve_engine_bfloat16
