// SPDX-License-Identifier: Apache-2.0
// Reads a model's sizes and switches from GGUF metadata or from a Hugging Face config.json. Unknown settings are
// refused, because a model that is computed wrongly also gives answers.
#pragma once
#include <concepts>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/io/families.hpp"
#include "iapt/io/gguf.hpp"
#include "iapt/io/gguf_settings.hpp"
#include "iapt/model/config.hpp"
#include "iapt/text/json.hpp"

namespace iapt {

/// Reads values of a config.json; errors have the file and the key.
class config_json {
 public:
  /// Parses the text.
  /// @throws io_error if it is not a JSON object
  static config_json parse(std::string_view text, const std::string& file) {
    std::string outer;
    std::map<std::string, std::vector<std::string>> orders;
    const auto note = [&](int depth, const std::string& key) {
      if (depth == 1) orders[outer = key].clear();
      if (depth == 2) orders[outer].push_back(key);
    };
    config_json config(parse_json(text, file, "the configuration", note), file);
    config.orders_ = std::move(orders);
    return config;
  }
  /// Whether there is a key whose value is not null.
  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }
  /// A value of type T.
  /// @throws io_error if it is missing or of another kind
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
  /// A value of type T, or a default if it is missing or null.
  /// @throws io_error if it is of another kind
  template <class T>
  T get_or(const char* key, T otherwise) const {
    return has(key) ? get<T>(key) : otherwise;
  }
  /// An object in it; empty if it is missing or null.
  config_json inside(const char* key) const {
    return has(key) ? config_json(json_.at(key), file_ + ": \"" + key + "\"")
                    : config_json(nlohmann::json::object(), file_ + ": \"" + key + "\"");
  }
  /// The keys of an object in it, in the file's order; none if it is missing or null.
  const std::vector<std::string>& keys_of(const char* key) const {
    static const std::vector<std::string> none;
    const auto found = orders_.find(key);
    return found == orders_.end() ? none : found->second;
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
  std::map<std::string, std::vector<std::string>> orders_ =
      {};  // keys of each object, in the file's order; nlohmann::json sorts them
};

/// Refuses a rope type.
/// @throws io_error always
[[noreturn]] inline void refuse_rope(const std::string& file, const std::string& type) {
  throw io_error(file + ": the rope type \"" + type +
                 "\" is not supported (default, linear and llama3 are); its "
                 "positions would be computed wrongly");
}

/// Reads the options of RoPE from config.json.
/// @param max_positions longest sequence of the model; 0: not known
/// @throws io_error for a rope type that is not supported, or different options for kinds of layers
/// @par Source transformers 5.24: a filled "rope_scaling" replaces "rope_parameters"; an outer "rope_theta" is the base
/// if the one that counts has none
inline rope_options read_rope(const config_json& json, index_t max_positions) {
  const bool older = json.has("rope_scaling") && json.values().at("rope_scaling") != nlohmann::json::object();
  const config_json rope = json.inside(older ? "rope_scaling" : "rope_parameters");
  for (const auto& [key, value] : rope.values().items())
    if (value.is_object())
      throw io_error(rope.file() + ": " + in_quotes(key) + ": positions of one kind of layer are not supported");
  if (rope.get_or<double>("partial_rotary_factor", json.get_or<double>("partial_rotary_factor", 1)) != 1)
    throw io_error(json.file() + ": a partial rotary factor is not supported");
  rope_options options;
  options.theta = rope.get_or<double>("rope_theta", json.get_or<double>("rope_theta", options.theta));
  const auto type = rope.get_or<std::string>("rope_type", rope.get_or<std::string>("type", "default"));
  if (type == "linear") {
    options.scaling = rope_options::kind::linear;
    options.factor = rope.get<double>("factor");
  } else if (type == "llama3") {
    options.scaling = rope_options::kind::llama3;
    options.factor = rope.get<double>("factor");
    options.low_frequency_factor = rope.get<double>("low_freq_factor");
    options.high_frequency_factor = rope.get<double>("high_freq_factor");
    constexpr auto original = "original_max_position_embeddings";
    options.original_positions = json.has(original)  ? json.get<double>(original)  // comes before the inner one
                                 : max_positions > 0 ? rope.get_or<double>(original, double(max_positions))
                                                     : rope.get<double>(original);
  } else if (type != "default") {
    refuse_rope(rope.file(), type);
  }
  return options;
}

/// Which layers have RoPE if every `interval`-th one has none.
inline std::vector<bool> layers_with_rope(index_t layers, index_t interval) {
  std::vector<bool> all;
  for (index_t l = 1; l <= layers; ++l) all.push_back(interval <= 0 || l % interval != 0);
  return all;
}

/// Reads sizes and switches from config.json.
/// @throws io_error for an architecture, a rope type or a switch that is not supported, or for impossible sizes
inline transformer_config read_config(const config_json& json) {
  transformer_config c;
  c.family = json.get<std::string>("model_type");
  const model_family& family = family_of(&model_family::model_type, c.family, json.file(), "model_type");
  const auto refuse = [&](bool wrong, const std::string& what) {
    if (wrong) throw io_error(json.file() + ": " + what + " is not supported");
  };
  const auto activation = json.get_or<std::string>("hidden_act", "silu");
  refuse(activation != "silu", "the activation \"" + activation + "\"");
  if (family.sliding_window == model_family::window::by_default) {
    refuse(!json.values().contains("sliding_window"), "the sliding window of 4096 tokens that a " + c.family +
                                                          " model without \"sliding_window\" has (null: none)");
    refuse(json.has("sliding_window"), "sliding-window attention");
  } else {
    refuse(json.get_or<bool>("use_sliding_window", false), "sliding-window attention");
  }
  if (family.layer_types)
    for (const auto& type : json.get_or<std::vector<std::string>>("layer_types", {}))
      refuse(type != "full_attention", "a layer of the type " + in_quotes(type));
  c.vocabulary = json.get<index_t>("vocab_size");
  c.hidden = json.get<index_t>("hidden_size");
  c.layers = json.get<index_t>("num_hidden_layers");
  c.feed_forward = json.get<index_t>("intermediate_size");
  c.heads.heads = json.get<index_t>("num_attention_heads");
  c.heads.kv_heads = json.get_or<index_t>("num_key_value_heads", c.heads.heads);
  c.heads.head_size = json.get_or<index_t>("head_dim", c.heads.heads > 0 ? c.hidden / c.heads.heads : 0);
  c.norm_epsilon = json.get_or<double>("rms_norm_eps", 1e-6);
  c.max_positions = json.get_or<index_t>("max_position_embeddings", 0);
  c.tied_head = json.get_or<bool>("tie_word_embeddings", false);
  c.output_bias = family.bias_switches && json.get_or<bool>("attention_bias", false);
  c.qkv_bias = family.qkv_bias || c.output_bias;
  c.mlp_bias = family.bias_switches && json.get_or<bool>("mlp_bias", false);
  c.qk_norm = family.qk_norm;
  if (family.scales) {
    c.embedding_scale = json.get_or<double>("embedding_multiplier", 1);
    c.heads.scale = json.get_or<double>("attention_multiplier", 1);
    c.residual_scale = json.get_or<double>("residual_multiplier", 1);
    c.logit_scale = 1 / json.get_or<double>("logits_scaling", 1);
  }
  if (family.no_rope_interval) {
    const auto interval = json.get_or<index_t>("no_rope_layer_interval", family.no_rope_interval);
    c.has_rope = layers_with_rope(c.layers, interval);
    if (const auto given = json.get_or<std::vector<int>>("no_rope_layers", {}); !given.empty())
      c.has_rope.assign(given.begin(), given.end());  // 1: with RoPE, in spite of the name
  }

  c.rope = read_rope(json, c.max_positions);
  try {
    c.check();
  } catch (const shape_error& failure) { throw io_error(json.file() + ": " + failure.what()); }
  return c;
}

/// Reads sizes and switches from GGUF metadata. The tensors tell which biases there are, and whether the head is tied.
/// @throws io_error for an architecture, a rope type or a key that is not supported, or for impossible sizes
/// @par Source llama.cpp, which has the same defaults
inline transformer_config read_config(const gguf_file& file) {
  transformer_config c;
  c.family = file.get<std::string>("general.architecture");
  const model_family& family = family_of(&model_family::architecture, c.family, file.name(), "general.architecture");
  const auto key = [&](const char* name) { return c.family + "." + name; };
  const stored_tensor* embedding = file.tensors().find("token_embd.weight");
  if (!embedding) throw io_error(file.name() + ": there is no tensor \"token_embd.weight\"");
  c.vocabulary = embedding->rows();
  c.hidden = file.get<index_t>(key("embedding_length"));
  c.layers = file.get<index_t>(key("block_count"));
  c.feed_forward = file.get<index_t>(key("feed_forward_length"));
  c.heads.heads = file.get<index_t>(key("attention.head_count"));
  c.heads.kv_heads = file.get_or<index_t>(key("attention.head_count_kv"), c.heads.heads);
  const index_t even_part = c.heads.heads > 0 ? c.hidden / c.heads.heads : 0;
  c.heads.head_size = file.get_or<index_t>(key("attention.key_length"), even_part);
  if (const auto values = file.get_or<index_t>(key("attention.value_length"), even_part); values != c.heads.head_size)
    throw io_error(file.name() + ": heads whose keys have " + std::to_string(c.heads.head_size) +
                   " numbers and whose values have " + std::to_string(values) + " are not supported");
  c.norm_epsilon = file.get<double>(key("attention.layer_norm_rms_epsilon"));
  c.max_positions = file.get_or<index_t>(key("context_length"), 0);
  c.rope.theta = file.get_or<double>(key("rope.freq_base"), 10000);
  if (file.get_or<index_t>(key("rope.dimension_count"), c.heads.head_size) != c.heads.head_size)
    throw io_error(file.name() + ": rotary positions of a part of each head are not supported");
  const auto type = file.get_or<std::string>(key("rope.scaling.type"), "linear");
  if (type == "linear") {
    const auto older = file.get_or<double>(key("rope.scale_linear"), 0);
    const auto factor = file.get_or<double>(key("rope.scaling.factor"), older);  // 0: no scaling
    if (factor != 0) c.rope.scaling = rope_options::kind::linear, c.rope.factor = factor;
  } else if (type != "none") {
    refuse_rope(file.name(), type);
  }
  if (family.scales) {
    const auto scale = [&](const char* name) {  // 0 means that there is none
      const auto found = file.get_or<double>(key(name), 0);
      return found == 0 ? 1 : found;
    };
    c.embedding_scale = scale("embedding_scale");
    c.residual_scale = scale("residual_scale");
    c.logit_scale = 1 / scale("logit_scale");
    c.heads.scale = file.get_or<double>(key("attention.scale"), 0);
  }
  refuse_unknown_settings(file, family);
  c.tied_head = !file.tensors().find("output.weight");
  c.qkv_bias = file.tensors().find("blk.0.attn_q.bias");
  c.output_bias = file.tensors().find("blk.0.attn_output.bias");
  c.mlp_bias = file.tensors().find("blk.0.ffn_gate.bias");
  c.qk_norm = family.qk_norm;
  if (family.no_rope_interval) c.has_rope = layers_with_rope(c.layers, family.no_rope_interval);
  try {
    c.check();
  } catch (const shape_error& failure) { throw io_error(file.name() + ": " + failure.what()); }
  return c;
}

}  // namespace iapt
