// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda
#include "iapt/peft/lora.hpp"

#include "iapt/model/decoder.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::peft_lora {
TEST_CASE("LoRA starts as the base model, and merged it is the same function", "[peft]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const auto batch = two_sequences();
  const auto start = make_lora(lm, {.rank = 3});
  CHECK(logits(lm, batch, start) == logits(lm, batch));
  const auto method = moved(start, 0.1);
  const auto unmerged = logits(lm, batch, method);
  CHECK(distance(logits(lm, batch), unmerged) > 0.05);
  CHECK(difference(logits(merged(lm, method), batch), unmerged) < 1e-12);
}

TEST_CASE("LoRA's first factor starts as PEFT's: Kaiming, of variance 1 / (3 in)", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  double squares = 0, count = 0;
  for (auto& p : make_lora(lm, {.rank = 64}).parameters()) {
    if (p.name.find("lora_A") == std::string::npos) continue;
    for (const double x : to_host(p.values)) squares += x * x * 3 * double(p.shape[1]), ++count;
  }
  CHECK(squares / count == Approx(1).epsilon(0.02));
}

TEST_CASE("gradients of LoRA", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = moved(make_lora(lm, {.rank = 2, .alpha = 3, .rank_stabilised = true}), 0.1);
  CHECK(method.layers[1][0].scale == Approx(3 / std::sqrt(2.0)));
  check_parameters(lm, method, [](const std::string& name) { return name.find("layers.1.") != std::string::npos; });
}

TEST_CASE("LoRA reads from a cache what it reads at once", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = moved(make_lora(lm, {.rank = 2}), 0.1);
  const auto tokens = small_tokens(9, 3);
  packed_batch whole, begun;
  whole.add(tokens);
  begun.add({tokens.begin(), tokens.end() - 2});
  kv_cache<double, test_backend> cache(backend, lm.config, 1, 9);
  lm.prefill(begun, cache, method);
  decode(lm, {{0, tokens[7]}}, cache, method);
  CHECK(difference(to_host(decode(lm, {{0, tokens[8]}}, cache, method)), logits(lm, whole, method)) < 1e-12);
}

TEST_CASE("the sites of LoRA", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto names = [&](const lora_options& options) {
    std::vector<std::string> all;
    for (const auto& p : make_lora(lm, options).parameters()) all.push_back(p.name);
    return all;
  };
  CHECK(names({}).size() == 3 * 7 * 2);
  CHECK(make_lora(lm).options.targets.size() == 7);
  CHECK(names({.targets = {"v_proj"}}) ==
        std::vector<std::string>{"base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight",
                                 "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight",
                                 "base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight",
                                 "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight",
                                 "base_model.model.model.layers.2.self_attn.v_proj.lora_A.weight",
                                 "base_model.model.model.layers.2.self_attn.v_proj.lora_B.weight"});
  CHECK(names({.targets = {"mlp.up_proj", "model.layers.1.mlp.down_proj"}}).size() == 2 * (3 + 1));
  const auto method =
      make_lora(lm, {.rank = 2, .targets = {"q_proj", "k_proj"}, .ranks = {{"k_proj", 5}, {"o_proj", 9}}});
  CHECK(method.layers[0][0].down.size(0) == 2);
  CHECK(method.layers[0][1].down.size(0) == 5);
  CHECK(method.layers[0][1].scale == 16.0 / 5);
  CHECK_FALSE(method.layers[0][3].down);
  const auto patterns = make_lora(lm, {.rank = 2,
                                       .ranks = {{"k_proj", 5}, {"model.layers.1.self_attn.k_proj", 3}},
                                       .alphas = {{"^model.layers.1.mlp.up_proj", 4}, {"up_proj", 3}}});
  CHECK(patterns.layers[1][1].down.size(0) == 5);  // the first that fits
  CHECK(patterns.layers[0][5].scale == 1.5);
  CHECK(patterns.layers[1][5].scale == 2);
  CHECK(patterns.layers[1][6].scale == 8);
  // A site's start does not depend on the others.
  CHECK(to_host(make_lora(lm, {.rank = 2}).layers[2][1].down) ==
        to_host(make_lora(lm, {.rank = 2, .targets = {"k_proj"}}).layers[2][1].down));

  const auto refused = [&](const lora_options& options) {
    return message_of<shape_error>([&] { make_lora(lm, options); });
  };
  CHECK(refused({.targets = {"q_proj", "proj"}}).find("no linear map \"proj\"") != std::string::npos);
  CHECK(refused({.targets = {"model.layers.3.mlp.up_proj"}}).find("\"model.layers.3") != std::string::npos);
  CHECK(refused({.targets = {""}}).find("no linear map \"\"") != std::string::npos);
  CHECK(refused({.rank = 0}).find("r must be from 1") != std::string::npos);
}

TEST_CASE("patterns fit modules as PEFT's do", "[peft]") {
  const auto fits = [](const char* pattern) { return lora_options::fits(pattern, "model.layers.11.mlp.up_proj"); };
  for (const char* good : {"up_proj", "mlp.up_proj", "11.mlp.up_proj", "model.layers.11.mlp.up_proj",
                           "^model.layers.11.mlp.up_proj", "mlp\\.up_proj", "layers....mlp.up_proj"})
    CHECK(fits(good));
  for (const char* other : {"", "proj", "p_proj", "1.mlp.up_proj", "^up_proj", "^layers.11.mlp.up_proj",
                            "a.model.layers.11.mlp.up_proj", "mlp.up\\.proj", "layers.1.mlp.up_proj"})
    CHECK_FALSE(fits(other));
  for (const char* expression : {"up_proj$", ".*up_proj", "(up|down)_proj", "layers.[0-3].mlp.up_proj", "\\w", "\\"})
    CHECK_THAT(message_of<shape_error>([&] { fits(expression); }),
               has_text("regular expression that is not supported"));
}

}  // namespace iapt::test::peft_lora
