// SPDX-License-Identifier: Apache-2.0
// The model's sizes and switches, from GGUF metadata or from a Hugging Face config.json. What is not known is refused:
// a model that is computed wrongly answers, too.
#pragma once
#include <concepts>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/io/gguf.hpp"
#include "iapt/model/config.hpp"
#include "iapt/text/json.hpp"

namespace iapt {

/// Reads a config.json by typed look-ups whose errors name file and key.
class config_json {
 public:
  /// Parses the text.
  /// @throws io_error if it is not a JSON object
  static config_json parse(std::string_view text, const std::string& file) {
    return {parse_json(text, file, "the configuration"), file};
  }
  /// Whether a key is there and not null.
  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }
  /// A value of type T.
  /// @throws io_error if it is not there or of another kind
  template <class T>
  T get(const char* key) const {
    if (!has(key))
      throw io_error(file_ + ": there is no \"" + key + "\"; is it the file of a supported model or method?");
    try {
      if (std::integral<T> && !std::same_as<T, bool> && !json_.at(key).is_number_integer())
        throw io_error(file_ + ": \"" + key + "\" is not a whole number: " + json_.at(key).dump());
      return json_.at(key).get<T>();
    } catch (const nlohmann::json::exception& failure) {
      throw io_error(file_ + ": \"" + key + "\" has an unexpected type: " + failure.what());
    }
  }
  /// A value of type T, or a default where it is missing or null.
  /// @throws io_error if it is of another kind
  template <class T>
  T get_or(const char* key, T otherwise) const {
    return has(key) ? get<T>(key) : otherwise;
  }
  /// An object inside; empty where it is missing or null.
  config_json inside(const char* key) const {
    return has(key) ? config_json(json_.at(key), file_ + ": \"" + key + "\"")
                    : config_json(nlohmann::json::object(), file_ + ": \"" + key + "\"");
  }
  /// All keys and values.
  const nlohmann::json& values() const { return json_; }
  /// File name, for messages.
  const std::string& file() const { return file_; }

 private:
  config_json(nlohmann::json json, std::string file) : file_(std::move(file)), json_(std::move(json)) {
    if (!json_.is_object()) throw io_error(file_ + ": expected an object");
  }
  std::string file_;
  nlohmann::json json_;
};

/// Refuses a rope type.
/// @throws io_error always
[[noreturn]] inline void refuse_rope(const std::string& file, const std::string& type) {
  throw io_error(file + ": the rope type \"" + type +
                 "\" is not supported (default, linear and llama3 are); its "
                 "positions would be computed wrongly");
}

/// Sizes and switches from config.json.
/// @throws io_error for an architecture, a rope type or a switch that is not supported, or numbers that make no model
inline transformer_config read_config(const config_json& json) {
  transformer_config c;
  c.family = json.get<std::string>("model_type");
  if (c.family != "llama" && c.family != "qwen2" && c.family != "mistral")
    throw io_error(json.file() + ": the architecture \"" + c.family +
                   "\" is not supported; llama, mistral and qwen2 are (\"model_type\")");
  const auto refuse = [&](bool wrong, const std::string& what) {
    if (wrong) throw io_error(json.file() + ": " + what + " is not supported");
  };
  const auto activation = json.get_or<std::string>("hidden_act", "silu");
  refuse(activation != "silu", "the activation \"" + activation + "\"");
  refuse(json.get_or<bool>("use_sliding_window", c.family == "mistral" && json.has("sliding_window")),
         "sliding-window attention");
  refuse(json.get_or<double>("partial_rotary_factor", 1) != 1, "a partial rotary factor");
  c.vocabulary = json.get<extent>("vocab_size");
  c.hidden = json.get<extent>("hidden_size");
  c.layers = json.get<extent>("num_hidden_layers");
  c.feed_forward = json.get<extent>("intermediate_size");
  c.heads.heads = json.get<extent>("num_attention_heads");
  c.heads.kv_heads = json.get_or<extent>("num_key_value_heads", c.heads.heads);
  c.heads.head_size = json.get_or<extent>("head_dim", c.heads.heads > 0 ? c.hidden / c.heads.heads : 0);
  c.norm_epsilon = json.get_or<double>("rms_norm_eps", 1e-6);
  c.max_positions = json.get_or<extent>("max_position_embeddings", 0);
  c.tied_head = json.get_or<bool>("tie_word_embeddings", false);
  c.output_bias = c.family == "llama" && json.get_or<bool>("attention_bias", false);
  c.qkv_bias = c.family == "qwen2" || c.output_bias;
  c.mlp_bias = c.family == "llama" && json.get_or<bool>("mlp_bias", false);

  // Newer files keep everything about positions in "rope_parameters", older ones the stretching in "rope_scaling".
  const config_json rope = json.inside(json.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  c.rope.theta = rope.get_or<double>("rope_theta", json.get_or<double>("rope_theta", 10000));
  const auto type = rope.get_or<std::string>("rope_type", rope.get_or<std::string>("type", "default"));
  if (type == "linear") {
    c.rope.scaling = rope_options::kind::linear;
    c.rope.factor = rope.get<double>("factor");
  } else if (type == "llama3") {
    c.rope.scaling = rope_options::kind::llama3;
    c.rope.factor = rope.get<double>("factor");
    c.rope.low_frequency_factor = rope.get<double>("low_freq_factor");
    c.rope.high_frequency_factor = rope.get<double>("high_freq_factor");
    c.rope.original_positions = rope.get<double>("original_max_position_embeddings");
  } else if (type != "default") {
    refuse_rope(rope.file(), type);
  }
  try {
    c.check();
  } catch (const shape_error& failure) { throw io_error(json.file() + ": " + failure.what()); }
  return c;
}

/// Sizes and switches from GGUF metadata; which biases there are, and whether the head is tied, the tensors tell.
/// @throws io_error for an architecture or a rope type that is not supported, or numbers that make no model
inline transformer_config read_config(const gguf_file& file) {
  transformer_config c;
  c.family = file.get<std::string>("general.architecture");
  if (c.family != "llama" && c.family != "qwen2")
    throw io_error(file.name() + ": the architecture \"" + c.family +
                   "\" is not supported; llama and qwen2 are (\"general.architecture\")");
  const auto key = [&](const char* name) { return c.family + "." + name; };
  const stored_tensor* embedding = file.tensors().find("token_embd.weight");
  if (!embedding) throw io_error(file.name() + ": there is no tensor \"token_embd.weight\"");
  c.vocabulary = embedding->rows();
  c.hidden = file.get<extent>(key("embedding_length"));
  c.layers = file.get<extent>(key("block_count"));
  c.feed_forward = file.get<extent>(key("feed_forward_length"));
  c.heads.heads = file.get<extent>(key("attention.head_count"));
  c.heads.kv_heads = file.get_or<extent>(key("attention.head_count_kv"), c.heads.heads);
  c.heads.head_size =
      file.get_or<extent>(key("attention.key_length"), c.heads.heads > 0 ? c.hidden / c.heads.heads : 0);
  c.norm_epsilon = file.get<double>(key("attention.layer_norm_rms_epsilon"));
  c.max_positions = file.get_or<extent>(key("context_length"), 0);
  c.rope.theta = file.get_or<double>(key("rope.freq_base"), 10000);
  if (file.get_or<extent>(key("rope.dimension_count"), c.heads.head_size) != c.heads.head_size)
    throw io_error(file.name() + ": rotary positions of a part of each head are not supported");
  if (file.get_or<extent>(key("expert_count"), 0) != 0)
    throw io_error(file.name() + ": mixtures of experts are not supported");
  const auto type = file.get_or<std::string>(key("rope.scaling.type"), "none");
  if (type == "linear") {
    c.rope.scaling = rope_options::kind::linear;
    c.rope.factor = file.get<double>(key("rope.scaling.factor"));
  } else if (type != "none") {
    refuse_rope(file.name(), type);
  }
  c.tied_head = !file.tensors().find("output.weight");
  c.qkv_bias = file.tensors().find("blk.0.attn_q.bias");
  c.output_bias = file.tensors().find("blk.0.attn_output.bias");
  c.mlp_bias = file.tensors().find("blk.0.ffn_gate.bias");
  try {
    c.check();
  } catch (const shape_error& failure) { throw io_error(file.name() + ": " + failure.what()); }
  return c;
}

}  // namespace iapt
