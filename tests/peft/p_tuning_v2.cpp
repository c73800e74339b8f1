// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda
#include "iapt/peft/p_tuning_v2.hpp"

#include "iapt/model/decoder.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::peft_p_tuning_v2 {
TEST_CASE("P-tuning v2 from a text starts as the model that has read the text", "[peft]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const std::vector<token_id> text = small_tokens(5, 4);
  const auto method = make_p_tuning_v2(lm, {.soft_tokens = 3, .start_text = text});
  packed_batch behind_text;
  for (const auto& [instruction, response] :
       {std::pair{small_tokens(7, 1), small_tokens(4, 2)}, std::pair{small_tokens(5, 8), small_tokens(3, 9)}}) {
    std::vector<token_id> whole(text.begin(), text.begin() + 3);
    whole.insert(whole.end(), instruction.begin(), instruction.end());
    behind_text.add(whole, response);
  }
  CHECK(difference(logits(lm, two_sequences(), method), logits(lm, behind_text)) < 1e-12);
}

TEST_CASE("gradients of P-tuning v2", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = make_p_tuning_v2(lm, {.soft_tokens = 3, .start = prefix_start::random, .seed = 3});
  check_parameters(lm, method, [](const std::string&) { return true; });
}

TEST_CASE("P-tuning v2 reads from a cache what it reads at once", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = make_p_tuning_v2(lm, {.soft_tokens = 2, .start = prefix_start::random});
  const auto tokens = small_tokens(9, 3);
  packed_batch whole, begun;
  whole.add(small_tokens(4, 6)), whole.add(tokens);
  begun.add(small_tokens(4, 6)), begun.add({tokens.begin(), tokens.end() - 1});
  kv_cache<double, test_backend> cache(backend, lm.config, 2, 11);
  lm.prefill(begun, cache, method);
  const auto all = logits(lm, whole, method);
  CHECK(difference(to_host(decode(lm, {{1, tokens[8]}}, cache, method)), {all.begin() + 31, all.end()}) < 1e-12);
}

TEST_CASE("P-tuning v2 refuses what makes no method", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto refused = [&](const p_tuning_v2_options& options) {
    return message_of<shape_error>([&] { make_p_tuning_v2(lm, options); });
  };
  CHECK(refused({.soft_tokens = 3, .start_text = {1, 2}}).find("needs 3 tokens of it, found 2") != std::string::npos);
  CHECK(refused({.soft_tokens = 0}).find("num_virtual_tokens must be from 1") != std::string::npos);
}

}  // namespace iapt::test::peft_p_tuning_v2
