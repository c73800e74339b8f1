// SPDX-License-Identifier: Apache-2.0
// GGUF keys of the architecture: those that are read, those that change nothing, and values that mean "off".
#pragma once
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "iapt/io/families.hpp"
#include "iapt/io/gguf.hpp"

namespace iapt {

/// Keys `ARCH.name` that the configuration is read from, and keys that do not change what a model computes.
inline constexpr std::string_view known_gguf_settings[] = {
    "embedding_length", "block_count", "feed_forward_length", "context_length", "attention.head_count",
    "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
    "rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor", "rope.scale_linear",
    // The next ones are not read: the tensors have the same information, or they do not change the results.
    "vocab_size", "tensor_data_layout", "attention.layer_norm_epsilon", "rope.scaling.original_context_length",
    "rope.scaling.finetuned", "pooling_type"};

/// The keys that a family with factors has beside these.
inline constexpr std::string_view gguf_scales[] = {"attention.scale", "embedding_scale", "logit_scale",
                                                   "residual_scale"};

/// A value of a key that changes nothing.
struct neutral_setting {
  std::string_view key;  ///< `name` of `ARCH.name`
  double value;          ///< the value; a switch is 0 or 1
};

/// Keys that change what a model computes, with the values that do not change it.
/// @par Source llama.cpp, for which these values mean "off"
inline constexpr neutral_setting neutral_gguf_settings[] = {{"attention.causal", 1},
                                                            {"attention.clamp_kqv", 0},
                                                            {"attention.max_alibi_bias", 0},
                                                            {"attention.output_scale", 0},
                                                            {"attention.output_scale", 1},
                                                            {"attention.scale", 0},
                                                            {"attention.shared_kv_layers", 0},
                                                            {"attention.sliding_window", 0},
                                                            {"attention.temperature_length", 0},
                                                            {"attention.temperature_scale", 0},
                                                            {"attn_logit_softcapping", 0},
                                                            {"embedding_scale", 0},
                                                            {"embedding_scale", 1},
                                                            {"expert_count", 0},
                                                            {"expert_group_count", 0},
                                                            {"expert_group_used_count", 0},
                                                            {"expert_shared_count", 0},
                                                            {"expert_used_count", 0},
                                                            {"final_logit_softcapping", 0},
                                                            {"leading_dense_block_count", 0},
                                                            {"logit_scale", 0},
                                                            {"logit_scale", 1},
                                                            {"nextn_predict_layers", 0},
                                                            {"residual_scale", 0},
                                                            {"residual_scale", 1},
                                                            {"rope.scaling.attn_factor", 1},
                                                            {"use_parallel_residual", 0}};

/// A metadata value as a number, from any type of number or switch; none for texts and arrays.
inline std::optional<double> number_of(const gguf_value& value) {
  if (const auto flag = value.as<bool>()) return *flag;
  if (const auto whole = value.as<std::int64_t>()) return static_cast<double>(*whole);
  return value.as<double>();
}

/// Refuses an unknown key of the architecture that is not off: it may change what the model computes.
/// @param family the keys that begin with its architecture are checked
/// @throws io_error with the key, and what to do
inline void refuse_unknown_settings(const gguf_file& file, const model_family& family) {
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with(std::string(family.architecture) + ".")) continue;
    const std::string_view name = key.substr(family.architecture.size() + 1);
    if (std::ranges::find(known_gguf_settings, name) != std::end(known_gguf_settings)) continue;
    if (family.scales && std::ranges::find(gguf_scales, name) != std::end(gguf_scales)) continue;
    const std::optional<double> found = number_of(value);
    bool listed = false, neutral = false;
    for (const neutral_setting& setting : neutral_gguf_settings) {
      listed = listed || setting.key == name;
      neutral = neutral || (setting.key == name && setting.value == found);
    }
    if (neutral) continue;
    const std::string reason = !listed ? "is not known to this library; if it changes nothing that the model computes, "
                                         "remove it from a copy of the file (gguf-new-metadata --remove-metadata)"
                               : found ? "is " + std::to_string(*found) + ", which is not supported"
                                       : "is of the type " + value.type_text() + ", which is not supported";
    refuse_file(file.name(), value.offset,
                "metadata " + in_quotes(key) + " " + reason + "; the model would be computed wrongly");
  }
}

}  // namespace iapt
