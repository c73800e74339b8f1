// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/model_config.hpp"

#include <cstdint>
#include <map>
#include <variant>

#include "support/catch.hpp"
#include "support/io_errors.hpp"

namespace iapt::test::io_model_config {
namespace {

using nlohmann::json;

/// A config.json that says no more than it must.
json smallest() {
  return {{"model_type", "llama"},  {"vocab_size", 96},        {"hidden_size", 32},
          {"num_hidden_layers", 2}, {"intermediate_size", 40}, {"num_attention_heads", 4}};
}
transformer_config read(const json& values) { return read_config(config_json::parse(values.dump(), "c.json")); }
/// What is said where `key` is changed.
std::string message(const char* key, const json& value, json values = smallest()) {
  values[key] = value;
  return io_message([&] { read(values); });
}

/// GGUF metadata.
using gguf_values = std::map<std::string, std::variant<std::uint32_t, float, bool, std::string>>;
gguf_values smallest_gguf() {
  return {{"general.architecture", std::string("llama")},
          {"llama.embedding_length", 8u},
          {"llama.block_count", 1u},
          {"llama.feed_forward_length", 12u},
          {"llama.attention.head_count", 2u},
          {"llama.attention.layer_norm_rms_epsilon", 1e-5f}};
}
/// A GGUF file of such metadata, whose tensors all have 5 rows of 8 floats.
transformer_config read(const gguf_values& values, const std::vector<std::string>& tensors = {"token_embd.weight"}) {
  auto bytes = byte_string("GGUF").number(std::uint32_t(3)).number(std::uint64_t(tensors.size()));
  bytes.number(std::uint64_t(values.size()));
  for (const auto& [key, value] : values) {
    bytes.text(key);
    if (const auto* number = std::get_if<std::uint32_t>(&value)) bytes.number(std::uint32_t(4)).number(*number);
    if (const auto* number = std::get_if<float>(&value)) bytes.number(std::uint32_t(6)).number(*number);
    if (const auto* flag = std::get_if<bool>(&value)) bytes.number(std::uint32_t(7)).number(std::uint8_t(*flag));
    if (const auto* text = std::get_if<std::string>(&value)) bytes.number(std::uint32_t(8)).text(*text);
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    bytes.text(tensors[i]).number(std::uint32_t(2)).number(std::uint64_t(8)).number(std::uint64_t(5));
    bytes.number(std::uint32_t(0)).number(std::uint64_t(i * 160));
  }
  bytes.append((32 - bytes.size() % 32) % 32, '\0').append(160 * tensors.size(), '\0');
  return read_config(gguf_file::parse(bytes_of(bytes), "m.gguf"));
}
std::string gguf_message(const std::string& key, gguf_values::mapped_type value) {
  auto values = smallest_gguf();
  values[key] = std::move(value);
  return io_message([&] { read(values); });
}

}  // namespace

TEST_CASE("a config.json of the fewest words has the defaults of transformers", "[model]") {
  const transformer_config c = read(smallest());
  CHECK(c.heads == head_layout{4, 4, 8});
  CHECK(c.norm_epsilon == 1e-6);
  CHECK(c.max_positions == 0);
  CHECK(c.rope.theta == 10000);
  CHECK(c.rope.scaling == rope_options::kind::plain);
  CHECK_FALSE((c.tied_head || c.qkv_bias || c.output_bias || c.mlp_bias));
  json null = smallest();
  null["head_dim"] = nullptr, null["rope_scaling"] = nullptr, null["num_key_value_heads"] = nullptr;
  CHECK(read(null).heads == c.heads);
}

TEST_CASE("each family has biases in places of its own", "[model]") {
  json values = smallest();
  values["attention_bias"] = values["mlp_bias"] = true;
  values["sliding_window"] = nullptr;
  const auto biases = [&](const char* family) {
    values["model_type"] = family;
    const transformer_config c = read(values);
    return std::array{c.qkv_bias, c.output_bias, c.mlp_bias};
  };
  CHECK(biases("llama") == std::array{true, true, true});
  CHECK(biases("mistral") == std::array{false, false, false});
  CHECK(biases("qwen2") == std::array{true, false, false});
}

TEST_CASE("layers without RoPE, and factors", "[model]") {
  json values = smallest();
  values["num_hidden_layers"] = 4;
  CHECK(read(values).has_rope.empty());
  values["model_type"] = "smollm3";
  CHECK(read(values).has_rope == std::vector<bool>{true, true, true, false});
  values["no_rope_layer_interval"] = 2;
  CHECK(read(values).has_rope == std::vector<bool>{true, false, true, false});
  values["no_rope_layers"] = {0, 1, 1, 0};
  CHECK(read(values).has_rope == std::vector<bool>{false, true, true, false});
  values["no_rope_layers"] = {0, 1};
  CHECK_THROWS_WITH(read(values), has_text("RoPE must be known of every layer, found 2"));

  values = smallest();
  values["logits_scaling"] = 4, values["residual_multiplier"] = 0.5;
  CHECK(read(values).logit_scale == 1);  // keys of another family
  values["model_type"] = "granite";
  CHECK(read(values).logit_scale == 0.25);
  CHECK(read(values).residual_scale == 0.5);
  CHECK(read(values).heads.score_scale() == 1);  // its own default
  values["logits_scaling"] = 0;
  CHECK_THROWS_WITH(read(values), has_text("a scale must be positive"));
}

TEST_CASE("every family of the list is read, and a message names them", "[model]") {
  json values = smallest();
  values["sliding_window"] = nullptr;
  const std::string refused = message("model_type", "gpt2"),
                    gguf_refused = gguf_message("general.architecture", "gpt2");
  for (const model_family& family : model_families) {
    values["model_type"] = family.model_type;
    CHECK(read(values).family == family.model_type);
    CHECK_THAT(refused, has_text(std::string(family.model_type)));
    if (family.architecture.empty()) continue;
    gguf_values metadata;
    for (const auto& [key, value] : smallest_gguf())
      metadata[key.starts_with("llama.") ? std::string(family.architecture) + key.substr(5) : key] = value;
    metadata["general.architecture"] = std::string(family.architecture);
    CHECK(read(metadata).family == family.architecture);
    CHECK_THAT(gguf_refused, has_text(std::string(family.architecture)));
  }
  CHECK_THAT(refused, has_text("c.json: the architecture \"gpt2\" is not supported; llama, ") &&
                          has_text(" are (\"model_type\")"));
  CHECK_THAT(gguf_refused, has_text("m.gguf: the architecture \"gpt2\" is not supported; llama, ") &&
                               has_text(" are (\"general.architecture\")"));
  CHECK_THAT(message("model_type", ""), has_text("is not supported"));
  CHECK_THAT(gguf_message("general.architecture", ""), has_text("is not supported"));
}

TEST_CASE("positions that are stretched, as older and as newer files say it", "[model]") {
  const json llama3{{"rope_type", "llama3"},
                    {"factor", 8},
                    {"low_freq_factor", 1},
                    {"high_freq_factor", 4},
                    {"original_max_position_embeddings", 64}};
  json older = smallest(), newer = smallest();
  older["rope_theta"] = 5e5, older["rope_scaling"] = llama3;
  newer["rope_parameters"] = llama3, newer["rope_parameters"]["rope_theta"] = 5e5;
  for (const json& values : {older, newer}) {
    const rope_options rope = read(values).rope;
    CHECK(rope.theta == 5e5);
    CHECK(rope.scaling == rope_options::kind::llama3);
    CHECK(rope.factor == 8);
    CHECK(rope.low_frequency_factor == 1);
    CHECK(rope.high_frequency_factor == 4);
    CHECK(rope.original_positions == 64);
  }
  older["rope_scaling"] = {{"type", "linear"}, {"factor", 2.5}};
  CHECK(read(older).rope.scaling == rope_options::kind::linear);
  CHECK(read(older).rope.factor == 2.5);
}

TEST_CASE("of rope_scaling and rope_parameters the first counts, as in transformers 5.24", "[model]") {
  json both = smallest();
  both["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 7}};
  both["rope_scaling"] = {{"type", "linear"}, {"factor", 4}};
  const rope_options scaled = read(both).rope;
  CHECK(scaled.scaling == rope_options::kind::linear);
  CHECK(scaled.factor == 4);
  CHECK(scaled.theta == 10000);  // nothing of rope_parameters is read then
  both["rope_theta"] = 5;
  CHECK(read(both).rope.theta == 5);
  both["rope_scaling"]["rope_theta"] = 33;
  CHECK(read(both).rope.theta == 33);
  both["rope_scaling"]["rope_type"] = "default";
  CHECK(read(both).rope.scaling == rope_options::kind::plain);
  for (const json& none : {json(nullptr), json::object()}) {
    both["rope_scaling"] = none;
    CHECK(read(both).rope.theta == 7);
  }
  both["rope_scaling"] = {{"type", "yarn"}, {"factor", 4}};
  CHECK_THAT(io_message([&] { read(both); }), has_text("\"rope_scaling\": the rope type \"yarn\" is not supported"));
}

TEST_CASE("Llama 3's stretching without its first length has the model's", "[model]") {
  json values = smallest();
  values["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}, {"high_freq_factor", 4}};
  CHECK_THAT(io_message([&] { read(values); }), has_text("there is no \"original_max_position_embeddings\""));
  values["max_position_embeddings"] = 256;
  CHECK(read(values).rope.original_positions == 256);
  values["rope_scaling"]["original_max_position_embeddings"] = 128;
  CHECK(read(values).rope.original_positions == 128);
  values["original_max_position_embeddings"] = 64;  // which transformers reads first
  CHECK(read(values).rope.original_positions == 64);
}

TEST_CASE("positions that make no angles, or differ from layer to layer, are refused", "[model]") {
  const json linear{{"rope_type", "linear"}, {"factor", 2}};
  CHECK_THAT(message("rope_theta", 0), has_text("the base of the angles must be positive"));
  const auto changed = [](json rope, const char* key, const json& value) {
    rope[key] = value;
    return message("rope_parameters", rope);
  };
  CHECK_THAT(changed(linear, "factor", 0), has_text("the factor of the positions must be positive"));
  CHECK_THAT(changed(linear, "partial_rotary_factor", 0.5), has_text("a partial rotary factor is not supported"));
  CHECK(changed(linear, "partial_rotary_factor", 1) == "nothing thrown");
  CHECK_THAT(changed(json::object(), "full_attention", linear),
             has_text("\"full_attention\": positions of one kind of layer are not supported"));
  const json llama3{{"rope_type", "llama3"},
                    {"factor", 8},
                    {"low_freq_factor", 4},
                    {"high_freq_factor", 4},
                    {"original_max_position_embeddings", 64}};
  CHECK_THAT(message("rope_scaling", llama3), has_text("the high frequency factor must be above the low one"));
}

TEST_CASE("a config.json that asks for what is not known is refused", "[model]") {
  CHECK(message("hidden_act", "gelu") == "c.json: the activation \"gelu\" is not supported");
  CHECK(message("use_sliding_window", true) == "c.json: sliding-window attention is not supported");
  json qwen2 = smallest();
  qwen2["model_type"] = "qwen2";
  CHECK(message("layer_types", {"full_attention", "full_attention"}, qwen2) == "nothing thrown");
  CHECK_THAT(message("layer_types", {"full_attention", "sliding_attention"}, qwen2),
             has_text("c.json: a layer of the type \"sliding_attention\" is not supported"));
  CHECK(message("partial_rotary_factor", 0.5) == "c.json: a partial rotary factor is not supported");
  json mistral = smallest();
  mistral["model_type"] = "mistral";
  CHECK(message("sliding_window", 4096, mistral) == "c.json: sliding-window attention is not supported");
  CHECK(message("sliding_window", nullptr, mistral) == "nothing thrown");
  CHECK_THAT(io_message([&] { read(mistral); }),  // transformers' default
             has_text("c.json: the sliding window of 4096 tokens that a mistral model without \"sliding_window\" has"));
  mistral["use_sliding_window"] = false;  // which Mistral's configuration does not have
  CHECK(message("sliding_window", 4096, mistral) == "c.json: sliding-window attention is not supported");
  CHECK(message("sliding_window", 4096) == "nothing thrown");  // Llama has none, whatever is written there
  CHECK_THAT(message("rope_scaling", {{"type", "linear"}}),
             has_text("c.json: \"rope_scaling\": there is no \"factor\""));
}

TEST_CASE("a config.json whose values are of other kinds, or make no model", "[model]") {
  CHECK(message("vocab_size", 96.5) == "c.json: \"vocab_size\" is not a whole number: 96.5");
  CHECK_THAT(message("vocab_size", "96"), has_text("c.json: \"vocab_size\" is not a whole number"));
  CHECK_THAT(message("tie_word_embeddings", "yes"), has_text("c.json: \"tie_word_embeddings\" has an unexpected type"));
  CHECK_THAT(message("vocab_size", nullptr), has_text("c.json: there is no \"vocab_size\""));
  CHECK_THAT(message("num_key_value_heads", 3), has_text("c.json: "));
  CHECK_THAT(message("num_attention_heads", 0), has_text("c.json: "));
  CHECK_THAT(message("num_hidden_layers", -1), has_text("c.json: "));
  CHECK_THAT(message("rope_scaling", json::array()), has_text("c.json: \"rope_scaling\": expected an object"));
  const auto parse = [](const char* text) { return io_message([&] { config_json::parse(text, "c.json"); }); };
  CHECK(parse("[1]") == "c.json: expected an object");
  CHECK_THAT(parse("{\"a\": "), has_text("c.json: byte 7: the configuration is not valid JSON"));
}

TEST_CASE("GGUF metadata of the fewest words, and what its tensors tell", "[model]") {
  const transformer_config c = read(smallest_gguf());
  CHECK(c.vocabulary == 5);
  CHECK(c.heads == head_layout{2, 2, 4});
  CHECK(c.rope.theta == 10000);
  CHECK(c.tied_head);
  CHECK_FALSE((c.qkv_bias || c.output_bias || c.mlp_bias));
  const transformer_config all = read(smallest_gguf(), {"token_embd.weight", "output.weight", "blk.0.attn_q.bias",
                                                        "blk.0.attn_output.bias", "blk.0.ffn_gate.bias"});
  CHECK_FALSE(all.tied_head);
  CHECK((all.qkv_bias && all.output_bias && all.mlp_bias));
  auto stretched = smallest_gguf();
  stretched["llama.rope.scaling.type"] = std::string("linear"), stretched["llama.rope.scaling.factor"] = 4.0f;
  CHECK(read(stretched).rope.scaling == rope_options::kind::linear);
  CHECK(read(stretched).rope.factor == 4);
}

TEST_CASE("GGUF's factor of the positions is linear unless the file says otherwise", "[model]") {
  const auto factor = [](gguf_values scaling) {
    scaling.merge(smallest_gguf());
    const rope_options rope = read(scaling).rope;
    return rope.scaling == rope_options::kind::linear ? rope.factor : 1;
  };
  CHECK(factor({{"llama.rope.scaling.factor", 4.0f}}) == 4);
  CHECK(factor({{"llama.rope.scale_linear", 4.0f}}) == 4);  // the older name
  CHECK(factor({{"llama.rope.scaling.factor", 2.0f}, {"llama.rope.scale_linear", 4.0f}}) == 2);
  CHECK(factor({{"llama.rope.scaling.factor", 0.0f}}) == 1);
  CHECK(factor({{"llama.rope.scaling.type", "linear"}}) == 1);
  CHECK(factor({{"llama.rope.scaling.type", "none"}, {"llama.rope.scaling.factor", 4.0f}}) == 1);
}

TEST_CASE("a GGUF key of the architecture that is not known, or not off, is refused", "[model]") {
  using value = gguf_values::mapped_type;
  using row = std::tuple<std::string, value, std::vector<value>>;
  for (const auto& [name, changing, off] : std::vector<row>{{"attention.sliding_window", 4096u, {0u}},
                                                            {"attn_logit_softcapping", 50.0f, {0.0f}},
                                                            {"final_logit_softcapping", 30.0f, {0.0f}},
                                                            {"logit_scale", 0.25f, {0.0f, 1.0f}},
                                                            {"embedding_scale", 12.0f, {0.0f, 1.0f}},
                                                            {"residual_scale", 0.22f, {0.0f, 1.0f}},
                                                            {"attention.scale", 0.1f, {0.0f}},
                                                            {"attention.causal", false, {true}},
                                                            {"attention.temperature_scale", 0.1f, {0.0f}},
                                                            {"attention.clamp_kqv", 8.0f, {0.0f}},
                                                            {"attention.max_alibi_bias", 8.0f, {0.0f}},
                                                            {"rope.scaling.attn_factor", 1.2f, {1.0f}},
                                                            {"use_parallel_residual", true, {false}},
                                                            {"expert_count", 8u, {0u}},
                                                            {"expert_used_count", 2u, {0u}},
                                                            {"nextn_predict_layers", 1u, {0u}}}) {
    const std::string message = gguf_message("llama." + name, changing);
    CHECK_THAT(message, has_text("metadata \"llama." + name + "\" is "));
    CHECK_THAT(message, has_text(", which is not supported"));
    for (const value& neutral : off) CHECK(gguf_message("llama." + name, neutral) == "nothing thrown");
  }
  CHECK_THAT(gguf_message("llama.made_up_later", 0u), has_text("metadata \"llama.made_up_later\" is not known"));
  CHECK(gguf_message("qwen2.attention.sliding_window", 4096u) == "nothing thrown");  // of another architecture
  CHECK(gguf_message("general.made_up_later", 0u) == "nothing thrown");
}

TEST_CASE("GGUF files as llama.cpp's converter writes them have no unknown key", "[model]") {
  for (const char* family : {"llama", "qwen2"}) {
    gguf_values values{{"general.architecture", std::string(family)}};
    const auto set = [&](const char* name, gguf_values::mapped_type value) {
      values[family + std::string(".") + name] = std::move(value);
    };
    set("block_count", 1u), set("context_length", 256u), set("embedding_length", 8u), set("feed_forward_length", 12u);
    set("attention.head_count", 2u), set("attention.head_count_kv", 2u), set("rope.freq_base", 1e6f);
    set("attention.layer_norm_rms_epsilon", 1e-5f), set("attention.layer_norm_epsilon", 1e-5f);
    set("attention.key_length", 4u), set("attention.value_length", 4u), set("rope.dimension_count", 4u);
    set("vocab_size", 5u), set("expert_count", 0u), set("expert_used_count", 0u), set("pooling_type", 3u);
    set("rope.scaling.type", "linear"), set("rope.scaling.factor", 2.0f), set("rope.scaling.finetuned", true);
    set("rope.scaling.original_context_length", 128u), set("tensor_data_layout", "Meta AI original pth");
    CHECK(io_message([&] { read(values); }) == "nothing thrown");
  }
}

TEST_CASE("GGUF metadata that asks for what is not known is refused", "[model]") {
  CHECK_THAT(gguf_message("general.architecture", "gemma"),
             has_text("m.gguf: the architecture \"gemma\" is not supported"));
  CHECK_THAT(gguf_message("llama.rope.dimension_count", 2u),
             has_text("m.gguf: rotary positions of a part of each head"));
  CHECK(gguf_message("llama.rope.dimension_count", 4u) == "nothing thrown");
  CHECK_THAT(gguf_message("llama.attention.value_length", 2u),
             has_text("m.gguf: heads whose keys have 4 numbers and whose values have 2"));
  CHECK_THAT(gguf_message("llama.attention.key_length", 2u),
             has_text("m.gguf: heads whose keys have 2 numbers and whose values have 4"));
  CHECK_THAT(gguf_message("llama.rope.scaling.type", "yarn"),
             has_text("m.gguf: the rope type \"yarn\" is not supported"));
  CHECK_THAT(gguf_message("llama.attention.head_count_kv", 3u), has_text("m.gguf: "));
  CHECK_THAT(io_message([] { read(smallest_gguf(), {"other.weight"}); }),
             has_text("m.gguf: there is no tensor \"token_embd.weight\""));
}

}  // namespace iapt::test::io_model_config
