// SPDX-License-Identifier: Apache-2.0
// The model families that can be read. A new one is a line here.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/shape.hpp"

namespace iapt {

/// What a family has of its own, beside what all have: RMS norm, RoPE, grouped-query attention and gated SiLU.
struct model_family {
  /// How config.json says that there is a sliding window, which is not supported.
  enum class window {
    switched,   ///< "use_sliding_window" is true
    by_default  ///< always, of 4096 tokens, unless "sliding_window" is null
  };
  std::string_view model_type;               ///< "model_type" in config.json
  std::string_view architecture = {};        ///< "general.architecture" in GGUF; empty: there it is another family
  bool qkv_bias = false;                     ///< whether queries, keys and values always have a bias
  bool bias_switches = false;                ///< whether config.json has "attention_bias" and "mlp_bias"
  bool layer_types = false;                  ///< whether config.json has "layer_types"
  bool qk_norm = false;                      ///< whether queries and keys have a norm of each head
  index_t no_rope_interval = 0;              ///< every such layer has no RoPE, unless config.json says which; 0: all do
  bool scales = false;                       ///< whether embedding, scores, residual sums and logits have a factor
  window sliding_window = window::switched;  ///< of config.json
  bool interleaved_pairs = false;            ///< whether RoPE's pairs are adjacent rows in GGUF
};

/// All families.
/// @par Source transformers 5.24 for config.json, llama.cpp for GGUF
inline constexpr model_family model_families[] = {
    {.model_type = "llama", .architecture = "llama", .bias_switches = true, .interleaved_pairs = true},
    {.model_type = "mistral", .sliding_window = model_family::window::by_default},
    {.model_type = "qwen2", .architecture = "qwen2", .qkv_bias = true, .layer_types = true},
    {.model_type = "qwen3", .architecture = "qwen3", .bias_switches = true, .layer_types = true, .qk_norm = true},
    {.model_type = "granite",
     .architecture = "granite",
     .bias_switches = true,
     .scales = true,
     .interleaved_pairs = true},
    {.model_type = "smollm3",
     .architecture = "smollm3",
     .bias_switches = true,
     .layer_types = true,
     .no_rope_interval = 4,
     .interleaved_pairs = true}};

/// The family that a file names.
/// @param name_in its name in the file's format: &model_family::model_type or &model_family::architecture
/// @param key the file's key, for the message
/// @throws io_error if there is none, with the names that there are
inline const model_family& family_of(std::string_view model_family::*name_in, std::string_view name,
                                     const std::string& file, const std::string& key) {
  std::vector<std::string_view> names;
  for (const model_family& family : model_families) {
    if ((family.*name_in).empty()) continue;
    if (family.*name_in == name) return family;
    names.push_back(family.*name_in);
  }
  std::string list(names[0]);
  for (std::size_t i = 1; i < names.size(); ++i) list.append(i + 1 < names.size() ? ", " : " and ").append(names[i]);
  throw io_error(file + ": the architecture \"" + std::string(name) + "\" is not supported; " + list + " are (\"" +
                 key + "\")");
}

}  // namespace iapt
