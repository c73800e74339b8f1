// SPDX-License-Identifier: Apache-2.0
// A model small enough to train in a blink: it predicts the next token from the present one alone.
#pragma once
#include <vector>

#include "iapt/core/random.hpp"
#include "iapt/data/example.hpp"
#include "iapt/model/packed_batch.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/gather.hpp"
#include "iapt/ops/matmul.hpp"
#include "support/backends.hpp"

namespace iapt::test {

inline constexpr index_t toy_vocabulary = 11, toy_width = 6;

/// What is learned: logits = (embedding · scale) · head, scale in the coefficients' group.
template <class T>
struct toy_method {
  tensor<T, 2, test_backend> head;   // (D, V)
  tensor<T, 1, test_backend> scale;  // (D)
  explicit toy_method(test_backend& backend, std::uint64_t seed = 1)
      : head(random_normal<T>(backend, extents<2>{toy_width, toy_vocabulary}, 0.1, random_stream(seed, 1))),
        scale(filled<T>(backend, extents<1>{toy_width}, 1)) {
    head.track(), scale.track();
  }
  parameter_list<T, test_backend> parameters() const {
    parameter_list<T, test_backend> list;
    add_parameter(list, "head", head);
    add_parameter(list, "scale", scale, parameter_group::coefficients);
    return list;
  }
  std::vector<T> values() const {
    auto all = to_host(head);
    for (T x : to_host(scale)) all.push_back(x);
    return all;
  }
};

/// The frozen part: an embedding (V, D).
template <class T>
struct toy_model {
  tensor<T, 2, test_backend> embedding;
  explicit toy_model(test_backend& backend)
      : embedding(random_normal<T>(backend, extents<2>{toy_vocabulary, toy_width}, 1, random_stream(9, 9))) {}
  template <class Context>
  tensor<T, 2, test_backend> operator()(Context& ctx, const packed_batch& batch, const toy_method<T>& method) const {
    auto& backend = embedding.backend();
    const auto x = ctx(gather(embedding, row_indices<test_backend>(backend, batch.tokens)));
    const auto rows = ctx(gather(x, row_indices<test_backend>(backend, batch.logit_rows)));
    return ctx(matmul(rows * method.scale, method.head));
  }
};

/// Counting: each response goes on from the instruction's last token.
inline std::vector<example> counting(std::size_t count, std::uint64_t seed) {
  random_stream random(seed, 77);
  std::vector<example> all;
  for (std::size_t i = 0; i < count; ++i) {
    const auto next = [](token_id t) { return token_id((t + 1) % 10); };
    example e{.instruction = {token_id(random.below(10)), token_id(random.below(10))}, .response = {}, .line = i + 1};
    token_id t = e.instruction.back();
    for (std::size_t k = 0; k < 1 + i % 4; ++k) e.response.push_back(t = next(t));
    all.push_back(std::move(e));
  }
  return all;
}

}  // namespace iapt::test
