// SPDX-License-Identifier: Apache-2.0
// Sizes and switches that define a causal transformer of the Llama architecture.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "iapt/backend/concept.hpp"
#include "iapt/core/error.hpp"
#include "iapt/nn/rope.hpp"

namespace iapt {

/// Sizes and switches of a causal transformer: RMS norm, RoPE, grouped-query attention, gated SiLU feed-forward.
struct transformer_config {
  std::string family = {};          ///< "llama", "qwen2", …, for messages
  index_t vocabulary = 0;           ///< V, number of tokens
  index_t hidden = 0;               ///< D, hidden size
  index_t layers = 0;               ///< L, number of layers
  head_layout heads = {};           ///< H, G and E
  index_t feed_forward = 0;         ///< F, hidden size of the feed-forward
  double norm_epsilon = 1e-5;       ///< ε of every norm
  rope_options rope = {};           ///< base and scaling of RoPE
  index_t max_positions = 0;        ///< length of the longest sequence that it is made for; 0: not known
  bool tied_head = false;           ///< whether the embedding is also the LM head
  bool qkv_bias = false;            ///< whether query, key and value have biases
  bool output_bias = false;         ///< whether the attention's output has a bias
  bool mlp_bias = false;            ///< whether the feed-forward's linear maps have biases
  bool qk_norm = false;             ///< whether queries and keys have a norm of each head
  double embedding_scale = 1;       ///< factor of the embedded tokens
  double residual_scale = 1;        ///< factor of each half layer's result in its residual sum
  double logit_scale = 1;           ///< factor of the logits
  std::vector<bool> has_rope = {};  ///< of each layer; empty: all have RoPE

  /// Whether a layer has RoPE.
  bool layer_has_rope(index_t layer) const { return has_rope.empty() || has_rope[std::size_t(layer)]; }
  /// Refuses sizes that are not possible.
  /// @throws shape_error with the size
  void check() const {
    const auto need = [](bool good, const char* what, auto found) {
      if (!good) throw shape_error(std::string("model configuration: ") + what + ", found " + std::to_string(found));
    };
    need(vocabulary > 0, "the vocabulary must not be empty", vocabulary);
    need(hidden > 0, "the hidden size must be positive", hidden);
    need(layers > 0, "there must be a layer", layers);
    need(feed_forward > 0, "the feed-forward size must be positive", feed_forward);
    need(heads.heads > 0, "there must be a head", heads.heads);
    need(heads.kv_heads > 0 && heads.heads % heads.kv_heads == 0, "key/value heads must divide the heads",
         heads.kv_heads);
    need(has_rope.empty() || index_t(has_rope.size()) == layers, "RoPE must be known of every layer", has_rope.size());
    need(heads.head_size > 0 && heads.head_size % 2 == 0, "the head size must be even", heads.head_size);
    for (const double scale : {embedding_scale, residual_scale, logit_scale})
      need(scale > 0 && std::isfinite(scale), "a scale must be positive", scale);
    need(heads.scale >= 0 && std::isfinite(heads.scale), "the scale of the scores must be positive", heads.scale);
    need(rope.theta > 0 && std::isfinite(rope.theta), "the base of the angles must be positive", rope.theta);
    need(rope.factor > 0 && std::isfinite(rope.factor), "the factor of the positions must be positive", rope.factor);
    need(rope.high_frequency_factor > rope.low_frequency_factor, "the high frequency factor must be above the low one",
         rope.high_frequency_factor);
  }
};

}  // namespace iapt
