// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda
#include "iapt/peft/ia3.hpp"

#include "iapt/model/decoder.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::peft_ia3 {
namespace {

/// The model with the vectors multiplied into its weights.
template <class Method>
auto multiplied(causal_lm<double, test_backend> lm, const Method& method) {
  const inference<test_backend> ctx(lm.backend());
  for (std::size_t l = 0; l < lm.layers.size(); ++l)
    lm.layers[l].each_linear([&](projection part, auto& map) {
      const auto& outputs = method.layers[l].outputs[std::size_t(part)];
      const auto& inner = part == projection::down ? method.layers[l].inner : outputs;
      const bool inputs = part == projection::down && method.layers[l].inner;
      if (!outputs && !inputs) return;
      auto weight = to_host(map.weight.expanded());
      const auto factors = to_host(inputs ? inner : outputs);
      const index_t columns = map.weight.size(1);
      for (index_t i = 0; i < index_t(weight.size()); ++i)
        weight[std::size_t(i)] *= factors[std::size_t(inputs ? i % columns : i / columns)];
      map.weight = from_host(lm.backend(), extents<2>{map.weight.size(0), columns}, weight);
      if (map.bias && !inputs) map.bias = ctx(map.bias * outputs);
    });
  return lm;
}

}  // namespace

TEST_CASE("(IA)³ starts as the base model, and its vectors multiply the weights", "[peft]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  const auto batch = two_sequences();
  const auto start = make_ia3(lm);
  CHECK(logits(lm, batch, start) == logits(lm, batch));
  CHECK(parameter_count(start.parameters()) == 3 * (12 + 12 + 20));
  for (const ia3_options& options : {ia3_options{}, ia3_options{.targets = {"all-linear"}},
                                     ia3_options{.targets = {"all-linear"}, .feed_forward = {}},
                                     ia3_options{.targets = {"up_proj", "model.layers.1.mlp.down_proj"}}}) {
    const auto method = moved(make_ia3(lm, options), 0.3);
    const auto found = logits(lm, batch, method);
    CHECK(distance(logits(lm, batch), found) > 0.01);
    CHECK(difference(logits(multiplied(lm, method), batch), found) < 1e-12);
  }
}

TEST_CASE("gradients of (IA)³", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = moved(make_ia3(lm, {.targets = {"all-linear"}}), 0.3);
  check_parameters(lm, method, [](const std::string&) { return true; });
}

TEST_CASE("(IA)³ reads from a cache what it reads at once", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = moved(make_ia3(lm), 0.3);
  const auto tokens = small_tokens(9, 3);
  packed_batch whole, begun;
  whole.add(tokens);
  begun.add({tokens.begin(), tokens.end() - 1});
  kv_cache<double, test_backend> cache(backend, lm.config, 1, 9);
  lm.prefill(begun, cache, method);
  CHECK(difference(to_host(decode(lm, {{0, tokens[8]}}, cache, method)), logits(lm, whole, method)) < 1e-12);
}

TEST_CASE("the feed-forward modules of (IA)³ are targets by the same names", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  using names = std::vector<std::string>;
  const auto feed_forward = [&](const names& targets) {
    return make_ia3(lm, {.targets = targets}).options.feed_forward;
  };
  CHECK(feed_forward({"k_proj", "v_proj"}) == names{});
  CHECK(feed_forward({"k_proj", "down_proj"}) == names{"down_proj"});
  CHECK(feed_forward({"k_proj", "mlp.down_proj"}) == names{"mlp.down_proj"});
  CHECK(feed_forward({"all-linear"}) == names{"mlp.down_proj"});
}

TEST_CASE("(IA)³ refuses what makes no method", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto refused = [&](const ia3_options& options) {
    return message_of<shape_error>([&] { make_ia3(lm, options); });
  };
  CHECK(refused({.targets = {"c_attn"}}).find("ia3: the model has no linear map \"c_attn\"") != std::string::npos);
  CHECK(refused({.targets = {}}).find("ia3: there is no target module") != std::string::npos);
  CHECK(refused({.targets = {"k_proj", "up_proj"}, .feed_forward = {"up_proj"}})
            .find("the inputs of \"model.layers.0.mlp.up_proj\" cannot be rescaled") != std::string::npos);
  CHECK(refused({.targets = {"k_proj"}, .feed_forward = {"up_proj"}}) == "nothing thrown");  // no target
}

}  // namespace iapt::test::peft_ia3
