// SPDX-License-Identifier: Apache-2.0
// Reads a base model's tensors from files: the formats' names and orders of rows.
#pragma once
#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "iapt/io/weights.hpp"
#include "iapt/model/causal_lm.hpp"
#include "iapt/model/make_layer.hpp"

namespace iapt {

/// The names of a base model's tensors in a format.
struct weight_names {
  bool gguf;                       ///< names of GGUF, otherwise of Hugging Face
  bool interleaved_pairs = false;  ///< whether RoPE's pairs are adjacent rows of query and key (GGUF's Llama family)

  /// The embedding.
  std::string embedding() const { return gguf ? "token_embd.weight" : "model.embed_tokens.weight"; }
  /// The norm before the head.
  std::string final_norm() const { return gguf ? "output_norm.weight" : "model.norm.weight"; }
  /// The head, if it is not the embedding.
  std::string head() const { return gguf ? "output.weight" : "lm_head.weight"; }
  /// A norm of a layer.
  std::string norm(index_t layer, norm_part part) const {
    static constexpr const char* hub[] = {"input_layernorm", "post_attention_layernorm", "self_attn.q_norm",
                                          "self_attn.k_norm"};
    static constexpr const char* ggml[] = {"attn_norm", "ffn_norm", "attn_q_norm", "attn_k_norm"};
    return (gguf ? "blk." : "model.layers.") + std::to_string(layer) + "." +
           (gguf ? ggml : hub)[static_cast<int>(part)] + ".weight";
  }
  /// A linear map of a layer, without ".weight" or ".bias".
  std::string linear(index_t layer, projection part) const {
    static constexpr const char* parts[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                            "ffn_gate", "ffn_up", "ffn_down"};
    if (!gguf) return name_of(target_module{int(layer), part});
    return "blk." + std::to_string(layer) + "." + parts[static_cast<int>(part)];
  }
};

/// How a base model's matrices are stored in memory.
enum class weights_as {
  expanded,  ///< dequantized, as elements of the model's type
  stored     ///< as in the file if that takes fewer bytes: quantized, or floats of 16 bits
};

/// Options for loading a model.
struct load_options {
  weights_as weights = weights_as::expanded;  ///< `stored` takes as much memory as the file and decodes faster on a
                                              ///< CPU; `expanded` trains a little faster
  std::function<void(const std::string&)> warn = {};  ///< called with problems that are no errors; later also with
                                                      ///< those of the model's adapters, and then on any thread
};

/// Reads a base model's tensors into a backend's memory.
template <class T, class Backend>
class weight_loader {
 public:
  /// Reads stored tensors, for a configuration.
  weight_loader(Backend& backend, const weights& stored, weight_names names, transformer_config config,
                load_options options = {})
      : backend_(backend), stored_(stored), names_(names), config_(std::move(config)), options_(std::move(options)) {}

  /// Loads the whole model.
  /// @throws io_error if a tensor is missing, has another shape or cannot be decoded, or if there are tensors that a
  /// model of this configuration does not have: without them it would be computed wrongly
  causal_lm<T, Backend> load() {
    untie_unequal_head();
    causal_lm<T, Backend> lm;
    lm.config = config_;
    const index_t D = config_.hidden;
    lm.embedding = read_matrix(names_.embedding(), {config_.vocabulary, D});
    for (index_t l = 0; l < config_.layers; ++l)
      lm.layers.push_back(make_layer(
          config_, l,
          [&](projection part, const extents<2>& shape, bool bias) { return read_linear(l, part, shape, bias); },
          [&](norm_part part, index_t size) {
            return norm_layer<T, Backend>{read(names_.norm(l, part), extents<1>{size}), config_.norm_epsilon};
          }));
    lm.final_norm = {read(names_.final_norm(), extents<1>{D}), config_.norm_epsilon};
    lm.head = config_.tied_head ? lm.embedding : read_matrix(names_.head(), {config_.vocabulary, D});
    refuse_leftovers();
    return lm;
  }

 private:
  // If the file has a head that differs from the embedding, it is used, whatever the configuration says.
  // Source: transformers 5.24
  void untie_unequal_head() {
    const stored_tensor *head = stored_.find(names_.head()), *embedding = stored_.find(names_.embedding());
    if (!config_.tied_head || !head || !embedding) return;
    if (head->type == embedding->type && std::ranges::equal(head->bytes, embedding->bytes)) return;
    config_.tied_head = false;
    if (options_.warn)
      options_.warn(stored_.place() + ": the configuration ties the head to the embedding, but \"" + names_.head() +
                    "\" differs from it; the file's head is used");
  }
  template <std::size_t Rank>
  tensor<T, int(Rank), Backend> read(const std::string& name, const std::array<index_t, Rank>& shape,
                                     index_t paired_heads = 0) {
    const stored_tensor& from = stored_.at(name, shape);
    std::vector<compute_type<T>> read(from.size());
    read_into<compute_type<T>>(from, read);
    used_.insert(name);
    std::vector<T> values(read.begin(), read.end());  // rounds, if T has fewer bits
    if (paired_heads) values = unpaired(values, paired_heads);
    return from_host(backend_, shape, values);
  }
  weight_matrix<T, Backend> read_matrix(const std::string& name, const extents<2>& shape, index_t paired_heads = 0) {
    const stored_tensor& from = stored_.at(name, shape);
    const bool smaller = from.type && is_quantized(*from.type) && from.bytes.size() < from.size() * sizeof(T);
    if (options_.weights == weights_as::expanded || !smaller) return read(name, shape, paired_heads);
    used_.insert(name);
    if (!paired_heads) return {backend_, shape, *from.type, from.bytes};
    return {backend_, shape, *from.type, unpaired<std::byte>({from.bytes.begin(), from.bytes.end()}, paired_heads)};
  }
  linear<T, Backend> read_linear(index_t layer, projection part, const extents<2>& shape, bool bias) {
    const std::string name = names_.linear(layer, part);
    const bool rotated = part == projection::query || part == projection::key;
    const index_t heads = names_.interleaved_pairs && rotated ? shape[0] / config_.heads.head_size : 0;
    linear<T, Backend> map{read_matrix(name + ".weight", shape, heads), {}};
    if (bias) map.bias = read(name + ".bias", extents<1>{shape[0]}, heads);
    return map;
  }
  // Rows 2j and 2j+1 of each head become rows j and j + E/2, the order of `rope`.
  template <class V>
  std::vector<V> unpaired(const std::vector<V>& values, index_t heads) const {
    const index_t E = config_.heads.head_size, width = index_t(values.size()) / (heads * E);
    std::vector<V> sorted(values.size());
    for (index_t h = 0; h < heads; ++h)
      for (index_t r = 0; r < E; ++r)
        std::copy_n(values.begin() + (h * E + r) * width, width,
                    sorted.begin() + (h * E + r % 2 * (E / 2) + r / 2) * width);
    return sorted;
  }
  void refuse_leftovers() const {
    for (const std::string& name : stored_.names()) {
      const bool known = used_.contains(name) || (config_.tied_head && name == names_.head()) ||
                         name == "rope_freqs.weight" || name.ends_with("rotary_emb.inv_freq");
      if (!known)
        throw io_error(stored_.place() + ": the tensor \"" + name + "\" is not part of a " + config_.family +
                       " model of this configuration; it would be computed wrongly without it");
    }
  }

  Backend& backend_;
  const weights& stored_;
  weight_names names_;
  transformer_config config_;
  load_options options_;
  std::set<std::string> used_;
};

}  // namespace iapt
