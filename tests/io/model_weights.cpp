// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/model_weights.hpp"

#include <algorithm>

#include "iapt/io/load_causal_lm.hpp"
#include "iapt/io/safetensors_writer.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_model_weights {
namespace {

/// A small model's folder again, with other tensors.
class changed_model {
 public:
  explicit changed_model(const std::string& name) : stored_(weights::open(test_data("models/" + name))) {
    std::filesystem::copy_file(test_data("models/" + name + "/config.json"), folder_.path() / "config.json");
    for (const stored_tensor& t : stored_.all()) tensors.push_back({t.name, *t.type, t.shape, t.bytes});
  }
  /// What is said when it is loaded.
  std::string message() const {
    return io_message([&] { load(); });
  }
  /// The model, and what it was warned of.
  std::pair<causal_lm<float, test_backend>, std::string> load() const {
    write_safetensors(folder_.path() / "model.safetensors", tensors);
    std::string warnings;
    auto lm = load_backbone<float>(folder_.path(), backend_,
                                   {.warn = [&](const std::string& text) { warnings += text + "\n"; }});
    return {std::move(lm), warnings};
  }
  tensor_to_store& operator[](const std::string& name) {
    const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
    REQUIRE(at != tensors.end());
    return *at;
  }
  std::vector<tensor_to_store> tensors;

 private:
  weights stored_;
  temporary_folder folder_;
  mutable test_backend backend_ = with_threads(1);
};

const std::vector<float> numbers(4096);
tensor_to_store zeros(std::string name, std::vector<index_t> shape) {
  return to_store<float>(name, shape,
                         std::span(numbers).first(std::size_t(shape.size() > 1 ? shape[0] * shape[1] : shape[0])));
}

}  // namespace

TEST_CASE("each format has names of its own", "[model]") {
  const weight_names hub{.gguf = false}, gguf{.gguf = true};
  CHECK(hub.norm(3, norm_part::attention) == "model.layers.3.input_layernorm.weight");
  CHECK(hub.norm(3, norm_part::mlp) == "model.layers.3.post_attention_layernorm.weight");
  CHECK(hub.linear(3, projection::output) == "model.layers.3.self_attn.o_proj");
  CHECK(hub.linear(3, projection::down) == "model.layers.3.mlp.down_proj");
  CHECK(gguf.norm(3, norm_part::attention) == "blk.3.attn_norm.weight");
  CHECK(gguf.norm(3, norm_part::mlp) == "blk.3.ffn_norm.weight");
  CHECK(gguf.linear(3, projection::output) == "blk.3.attn_output");
  CHECK(gguf.linear(3, projection::down) == "blk.3.ffn_down");
}

TEST_CASE("tensors that are missing, of other shapes, or too many", "[model]") {
  changed_model model("llama_tied");
  CHECK(model.message() == "nothing thrown");
  SECTION("a bias that the configuration knows nothing of") {
    model.tensors.push_back(zeros("model.layers.0.self_attn.q_proj.bias", {60}));
    CHECK_THAT(model.message(), has_text("the tensor \"model.layers.0.self_attn.q_proj.bias\" is not part of a llama "
                                         "model of this configuration"));
  }
  SECTION("what the embedding stands for, and frequencies that are computed, may be there") {
    model.tensors.push_back(model["model.embed_tokens.weight"]);
    model.tensors.back().name = "lm_head.weight";
    model.tensors.push_back(zeros("model.layers.0.self_attn.rotary_emb.inv_freq", {4}));
    CHECK(model.message() == "nothing thrown");
  }
  SECTION("missing") {
    std::erase_if(model.tensors, [](const auto& t) { return t.name == "model.norm.weight"; });
    CHECK_THAT(model.message(), has_text("there is no tensor \"model.norm.weight\""));
  }
  SECTION("of another shape") {
    model["model.norm.weight"] = zeros("model.norm.weight", {35});
    CHECK_THAT(model.message(), has_text("has shape (35), expected (36)"));
  }
}

TEST_CASE("rotary pairs that lie side by side are parted, in rows and in biases", "[model]") {
  const auto folder = test_data("models/llama_biases_rope3");
  const auto config = read_config(config_json::parse(read_text_file(folder + "/config.json"), "config.json"));
  const weights stored = weights::open(folder);
  test_backend backend = with_threads(1);
  const auto as_stored = weight_loader<float, test_backend>(backend, stored, {.gguf = false}, config).load();
  const weight_names pairs{.gguf = false, .interleaved_pairs = true};
  const auto parted = weight_loader<float, test_backend>(backend, stored, pairs, config).load();
  const index_t E = config.heads.head_size, D = config.hidden;
  const auto check = [&](const linear<float, test_backend>& from, const linear<float, test_backend>& to,
                         index_t heads) {
    const auto rows = to_host(from.weight.expanded()), sorted = to_host(to.weight.expanded());
    const auto bias = to_host(from.bias), sorted_bias = to_host(to.bias);
    for (index_t h = 0; h < heads; ++h)
      for (index_t pair = 0; pair < E / 2; ++pair)
        for (index_t half = 0; half < 2; ++half) {
          const index_t row = h * E + 2 * pair + half, place = h * E + half * E / 2 + pair;
          CHECK(sorted_bias[place] == bias[row]);
          CHECK(std::equal(&sorted[place * D], &sorted[place * D] + D, &rows[row * D]));
        }
  };
  for (std::size_t l = 0; l < parted.layers.size(); ++l) {
    const auto &from = as_stored.layers[l].attention, &to = parted.layers[l].attention;
    check(from.query, to.query, config.heads.heads);
    check(from.key, to.key, config.heads.kv_heads);
    CHECK((to_host(from.value.weight.expanded()) == to_host(to.value.weight.expanded())));
  }
}

TEST_CASE("a head beside a tied embedding counts where it differs", "[model]") {
  changed_model small("llama_tied");
  const tensor_to_store embedding = small["model.embed_tokens.weight"];
  CHECK(small.load().first.config.tied_head);
  small.tensors.push_back(embedding);
  small.tensors.back().name = "lm_head.weight";
  {
    const auto [lm, warnings] = small.load();
    CHECK(lm.config.tied_head);
    CHECK(warnings.empty());
  }
  std::vector<std::byte> other(embedding.bytes.begin(), embedding.bytes.end());
  other.back() ^= std::byte(1);
  small.tensors.back().bytes = other;
  const auto [lm, warnings] = small.load();
  CHECK_FALSE(lm.config.tied_head);
  CHECK_THAT(warnings, has_text("\"lm_head.weight\" differs from it; the file's head is used"));
  const auto numbers = to_host(lm.head.numbers());
  CHECK((std::ranges::equal(std::as_bytes(std::span(numbers)), other)));
  CHECK((to_host(lm.embedding.numbers()) != numbers));
}

}  // namespace iapt::test::io_model_weights
