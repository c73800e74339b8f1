// SPDX-License-Identifier: Apache-2.0
// A base model of random weights, to measure speed and compare backends without a model file.
#pragma once
#include <cmath>
#include <cstdint>

#include "iapt/core/random.hpp"
#include "iapt/expr/vec_index.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/model/make_layer.hpp"

namespace iapt {

/// Elementwise kernel: y[j] uniform in ±bound. It depends on seed, stream and j alone, so it is the same on every
/// backend.
template <class T>
struct random_uniform {
  using value_type = T;
  row<T> y;            ///< result
  std::uint64_t seed,  ///< seed of the random streams
      stream;          ///< id of the stream
  double bound;        ///< largest magnitude
  /// Column j, or the columns of a vec.
  template <class V>
  IAPT_DEVICE void operator()(index_t, vec_index<V> j) const {
    for (index_t k = j.at; k < j.at + index_t(sizeof(V) / sizeof(compute_type<T>)); ++k)
      y.p[k] = T(bound * ((double(philox(seed, stream, std::uint64_t(k)).word[0]) + 0.5) * 0x1p-31 - 1));
  }
};

/// A causal transformer of random weights: matrices of variance 1 / columns, norms of 1. The weights are computed on
/// the backend, the same on each, so that seven billion of them take little time.
/// @throws shape_error if the sizes are not possible
template <class T, class Backend>
causal_lm<T, Backend> random_causal_lm(Backend& backend, const transformer_config& config, std::uint64_t seed = 1) {
  config.check();
  std::uint64_t stream = 0;
  const auto matrix = [&](index_t rows, index_t columns) {
    tensor<T, 2, Backend> x(backend, {rows, columns});
    backend.for_each(1, x.size(), random_uniform<T>{{x.write()}, seed, ++stream, std::sqrt(3.0 / double(columns))});
    return x;
  };
  const auto norm = [&](index_t size) {
    return norm_layer<T, Backend>{filled(backend, extents<1>{size}, T(1)), config.norm_epsilon};
  };
  causal_lm<T, Backend> lm;
  lm.config = config;
  lm.embedding = matrix(config.vocabulary, config.hidden);
  for (index_t l = 0; l < config.layers; ++l)
    lm.layers.push_back(make_layer(
        config, l,
        [&](projection, const extents<2>& shape, bool) { return linear<T, Backend>{matrix(shape[0], shape[1])}; },
        [&](norm_part, index_t size) { return norm(size); }));
  lm.final_norm = norm(config.hidden);
  lm.head = config.tied_head ? lm.embedding : matrix(config.vocabulary, config.hidden);
  return lm;
}

/// The sizes of SmolLM2-135M.
/// @par Source Allal et al. 2025, "SmolLM2"
inline transformer_config smollm2_135m_shape() {
  return {.family = "llama",
          .vocabulary = 49152,
          .hidden = 576,
          .layers = 30,
          .heads = {9, 3, 64},
          .feed_forward = 1536,
          .rope = {.theta = 100000},
          .tied_head = true};
}
/// The sizes of Llama 2 7B.
/// @par Source Touvron et al. 2023, "Llama 2"
inline transformer_config llama_7b_shape() {
  return {.family = "llama",
          .vocabulary = 32000,
          .hidden = 4096,
          .layers = 32,
          .heads = {32, 32, 128},
          .feed_forward = 11008};
}

}  // namespace iapt
