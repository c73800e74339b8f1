// SPDX-License-Identifier: Apache-2.0
// A hash of a base model's sizes and weights, as text.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/bfloat16.hpp"
#include "iapt/core/fnv1a.hpp"
#include "iapt/model/causal_lm.hpp"

namespace iapt {

/// What a fingerprint is computed from.
enum class fingerprint_kind {
  unknown,       ///< of a kind that this version of the library does not know
  some_tensors,  ///< "0123456789abcdef": embedding, last norm, and the layers' query and down projections (version 0.1)
  every_tensor   ///< "2:0123456789abcdef": rows of each tensor; this kind is written
};

/// The kind of a fingerprint.
inline fingerprint_kind kind_of_fingerprint(std::string_view text) {
  const auto is_hash = [](std::string_view part) {
    return part.size() == 16 && part.find_first_not_of("0123456789abcdef") == part.npos;
  };
  if (is_hash(text)) return fingerprint_kind::some_tensors;
  return text.starts_with("2:") && is_hash(text.substr(2)) ? fingerprint_kind::every_tensor : fingerprint_kind::unknown;
}

/// Tells base models apart. An adapter works only with the base model that it was trained on, in the same quantization.
/// Weights are hashed in bfloat16, because they may be stored so here. Backend and number of threads do not matter.
/// @param lm its weights in memory are read: four rows of each matrix, from the first to the last, and whole vectors
/// @param kind which fingerprint; that of `unknown` is empty
template <class T, class Backend>
std::string fingerprint(const causal_lm<T, Backend>& lm, fingerprint_kind kind = fingerprint_kind::every_tensor) {
  fnv1a hash;
  const transformer_config& c = lm.config;
  for (index_t n :
       {c.vocabulary, c.hidden, c.layers, c.heads.heads, c.heads.kv_heads, c.heads.head_size, c.feed_forward})
    hash.add(n);
  if (kind == fingerprint_kind::some_tensors) {
    const auto first = [&](const auto& x, index_t count) {
      for (T value : to_host(x.flat().slice(0, std::min(x.size(), count)))) hash.add(float(bfloat16(float(value))));
    };
    constexpr index_t most = 4096;
    const auto first_rows = [&](const weight_matrix<T, Backend>& w) {
      index_t left = most;
      for (index_t row = 0; row < w.size(0) && left > 0; ++row, left -= w.size(1))
        first(w.expanded(row, row + 1), left);
    };
    first_rows(lm.embedding), first(lm.final_norm.weight, most);
    for (const auto& layer : lm.layers) first_rows(layer.attention.query.weight), first_rows(layer.mlp.down.weight);
    return hash.text();
  }
  if (kind == fingerprint_kind::unknown) return "";

  const auto begin = [&](const std::string& name, const auto& x) {
    hash.add(std::as_bytes(std::span(name)));
    for (index_t n : x.shape()) hash.add(n);
  };
  const auto numbers = [&](const auto& x) {
    for (T value : to_host(x)) hash.add(bfloat16(float(value)));
  };
  const auto vector = [&](const std::string& name, const tensor<T, 1, Backend>& x) {
    begin(name, x);
    numbers(x);
  };
  const auto matrix = [&](const std::string& name, const weight_matrix<T, Backend>& w) {
    begin(name, w);
    const index_t last = w.size(0) - 1, samples = std::min<index_t>(w.size(0), 4);
    for (index_t i = 0; i < samples; ++i) {
      const index_t row = i * last / std::max<index_t>(samples - 1, 1);
      numbers(w.expanded(row, row + 1));
    }
  };
  matrix("embedding", lm.embedding);
  for (std::size_t l = 0; l < lm.layers.size(); ++l) {
    lm.layers[l].each_norm([&](norm_part part, const norm_layer<T, Backend>& norm) {
      constexpr const char* names[] = {"attention_norm", "mlp_norm", "query_norm", "key_norm"};
      vector(names[std::size_t(part)], norm.weight);
    });
    lm.layers[l].each_linear([&](projection part, const linear<T, Backend>& map) {
      matrix(name_of(target_module{int(l), part}), map.weight);
      if (map.bias) vector("bias", map.bias);
    });
  }
  vector("final_norm", lm.final_norm.weight);
  matrix("head", lm.head);
  return "2:" + hash.text();
}

}  // namespace iapt
