// SPDX-License-Identifier: Apache-2.0
// A small random model in memory, in double unless something else is said, and batches for it.
#pragma once
#include "iapt/core/random.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/ops/cross_entropy.hpp"
#include "support/check.hpp"
#include "support/moved.hpp"

namespace iapt::test {

/// A random backbone: 3 layers, D 24, H 4, G 2, E 6, F 20, V 31; with or without what few
/// families have: a norm of each head, a layer without RoPE, factors of scores and residual sums.
template <class T = double>
causal_lm<T, test_backend> small_model(test_backend& backend, bool switches = false) {
  causal_lm<T, test_backend> lm;
  lm.config = {.family = "llama", .vocabulary = 31, .hidden = 24, .layers = 3, .heads = {4, 2, 6}, .feed_forward = 20};
  std::uint64_t stream = 100;
  const auto matrix = [&](index_t out, index_t in) {
    return random_normal<T>(backend, extents<2>{out, in}, 1.2 / std::sqrt(double(in)), random_stream(3, ++stream));
  };
  const auto norm = [&](index_t size = 24) {
    auto weight = random_normal<T>(backend, extents<1>{size}, 0.1, random_stream(3, ++stream));
    auto values = to_host(weight);
    for (T& v : values) v += 1;
    upload(weight, values);
    return norm_layer<T, test_backend>{weight, 1e-5};
  };
  lm.embedding = random_normal<T>(backend, extents<2>{31, 24}, 1, random_stream(3, 1));
  for (index_t l = 0; l < lm.config.layers; ++l)
    lm.layers.push_back({norm(),
                         {lm.config.heads, {matrix(24, 24)}, {matrix(12, 24)}, {matrix(12, 24)}, {matrix(24, 24)}},
                         norm(),
                         {{matrix(20, 24)}, {matrix(20, 24)}, {matrix(24, 20)}}});
  lm.final_norm = norm();
  lm.head = lm.embedding;
  if (!switches) return lm;
  lm.config.qk_norm = true, lm.config.has_rope = {true, false, true};
  for (auto& layer : lm.layers) layer.attention.query_norm = norm(6), layer.attention.key_norm = norm(6);
  lm.layers[1].attention.has_rope = false;
  lm.config.residual_scale = 0.75, lm.config.heads.scale = 0.5;
  for (auto& layer : lm.layers) {
    layer.attention.layout.scale = lm.config.heads.scale;
    layer.attention.output.residual_scale = layer.mlp.down.residual_scale = lm.config.residual_scale;
  }
  return lm;
}

/// Random tokens of the small model.
inline std::vector<token_id> small_tokens(std::size_t count, std::uint64_t seed) {
  random_stream random(seed, 55);
  std::vector<token_id> ids(count);
  for (token_id& id : ids) id = token_id(random.below(31));
  return ids;
}

/// Logits of the rows that a batch wants.
template <class Model, class Method = no_method>
std::vector<double> logits(const Model& lm, const packed_batch& batch, const Method& method = {}) {
  const inference<typename Model::backend_type> run(lm.backend());
  return to_host(lm(run, batch, method));
}

/// Two sequences of different lengths, with responses.
inline packed_batch two_sequences() {
  packed_batch batch;
  batch.add(small_tokens(7, 1), small_tokens(4, 2));
  batch.add(small_tokens(5, 8), small_tokens(3, 9));
  return batch;
}

/// Gradients of the loss on two sequences by the parameters that are wanted, layers kept or run again.
template <class Method, class Wanted>
void check_parameters(causal_lm<double, test_backend> lm, const Method& method, Wanted wanted) {
  const auto batch = two_sequences();
  const row_indices<test_backend> targets(lm.backend(), batch.targets);
  const auto loss = [&](auto& ctx) { return ctx(cross_entropy(lm(ctx, batch, method), targets)); };
  for (const bool recompute : {false, true}) {
    lm.recompute_layers = recompute;
    for (auto& p : method.parameters()) {
      if (!wanted(p.name)) continue;
      INFO(p.name);
      CHECK(gradcheck(lm.backend(), loss, p.values) < 2e-6);
      for (auto& q : method.parameters()) q.values.clear_gradient();
    }
  }
}

}  // namespace iapt::test
