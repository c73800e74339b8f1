// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_cpp, thrust_omp, cuda
#include "iapt/io/load_causal_lm.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "iapt/io/adapter.hpp"
#include "iapt/serve/generate.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_load_causal_lm {
namespace {

nlohmann::json stored(const std::string& name) { return nlohmann::json::parse(read_text_file(test_data(name))); }

// Logits of all rows.
template <class T>
std::vector<T> all_logits(const causal_lm<T, test_backend>& lm, const std::vector<token_id>& ids) {
  packed_batch batch;
  batch.add(ids);
  batch.logit_rows.clear();
  for (std::size_t i = 0; i < ids.size(); ++i) batch.logit_rows.push_back(std::int32_t(i));
  inference<test_backend> ctx(lm.backend());
  return to_host(lm(ctx, batch));
}

}  // namespace

TEST_CASE("small models of each family give the logits of transformers", "[model]") {
  test_backend backend = with_threads(1);
  const auto check = [&](const std::string& folder, const causal_lm<double, test_backend>& lm) {
    INFO(folder);
    const auto reference = stored(folder + "/logits.json");
    REQUIRE(!reference["sequences"].empty());
    for (const auto& sequence : reference["sequences"]) {
      const auto found = all_logits(lm, sequence["ids"].get<std::vector<token_id>>());
      std::vector<double> expected;
      for (const auto& row : sequence["logits"])
        for (const auto& x : row) expected.push_back(x.get<double>());
      REQUIRE(found.size() == expected.size());
      double worst = 0, largest = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        worst = std::max(worst, std::abs(found[i] - expected[i]));
        largest = std::max(largest, std::abs(expected[i]));
      }
      CHECK(worst <= 1e-8 * largest);  // the stored logits have 12 digits; angles and frequencies are rounded elsewhere
    }
  };
  std::set<std::string> families;
  for (const auto& entry : std::filesystem::directory_iterator(test_data("models"))) {
    const std::string folder = "models/" + entry.path().filename().string();
    if (!std::filesystem::exists(entry.path() / "logits.json")) continue;  // one that is refused
    const auto lm = load_backbone<double>(entry.path(), backend);
    families.insert(lm.config.family);
    check(folder, lm);
    if (const auto gguf = entry.path() / "model.gguf"; std::filesystem::exists(gguf))
      check(folder, load_backbone<double>(gguf, backend));
  }
  for (const model_family& family : model_families)
    if (family.model_type != "mistral") CHECK(families.contains(std::string(family.model_type)));
}

TEST_CASE("ids that pad a model's vocabulary are of no text", "[model]") {
  test_backend backend = with_threads(1);
  const temporary_folder folder;
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(test_data(std::string("models/llama_grouped/") + name), folder.path() / name);
  nlohmann::json words{
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}}}, {"merges", nlohmann::json::array()}}}};
  folder.write("tokenizer.json", words.dump());
  const auto lm = load_causal_lm<float>(folder.path(), backend);
  CHECK(lm.config.vocabulary == 128);
  CHECK(lm.tokenizer().encode("ab") == std::vector<token_id>{0, 1});
  CHECK(lm.tokenizer().decode({{0, 127, 1}}) == "ab");
  words["model"]["vocab"]["c"] = 128;
  folder.write("tokenizer.json", words.dump());
  CHECK_THROWS_WITH(load_causal_lm<float>(folder.path(), backend), has_text("has 129 tokens, the model only 128"));
}

TEST_CASE("configurations name further ends of an answer", "[model]") {
  test_backend backend = with_threads(1);
  const temporary_folder folder;
  std::filesystem::copy_file(test_data("models/llama_grouped/model.safetensors"), folder.path() / "model.safetensors");
  auto config = stored("models/llama_grouped/config.json");
  folder.write("tokenizer.json", R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
    "added_tokens": [{"id": 2, "content": "<one>", "special": true}, {"id": 3, "content": "<two>", "special": true}]})");
  using ids = std::vector<token_id>;
  const auto ends = [&](const nlohmann::json& of_config, const nlohmann::json& of_generation) {
    config["eos_token_id"] = of_config;
    folder.write("config.json", config.dump());
    folder.write("generation_config.json", nlohmann::json{{"eos_token_id", of_generation}}.dump());
    return load_causal_lm<float>(folder.path(), backend);
  };
  CHECK(ends(2, {2, 3}).end_tokens() == ids{2, 3});
  CHECK(ends({3, 2}, nullptr).end_tokens() == ids{2, 3});
  CHECK(ends({3, 2}, nullptr).tokenizer().eos() == 3);  // where the tokenizer names none, the first
  CHECK(ends(3, 2).end_tokens() == ids{2, 3});
  CHECK(ends(1, 2).end_tokens() == ids{2});  // a stale number, of a text
  CHECK(ends(1, nullptr).end_tokens() == ids{1});
  CHECK(ends(9999, 2).end_tokens() == ids{2});
  CHECK_THROWS_WITH(ends(nullptr, nullptr).end_tokens(), has_text("names no token that ends an answer"));
  folder.write("tokenizer_config.json", R"({"eos_token": "<one>"})");
  CHECK(ends(3, nullptr).tokenizer().eos() == 2);
  CHECK(ends(3, nullptr).end_tokens() == ids{2, 3});
}

TEST_CASE("what is not known is refused", "[model]") {
  test_backend backend = with_threads(1);
  const auto message = [&](const char* name) -> std::string {
    try {
      load_backbone<float>(test_data(std::string("models/") + name), backend);
    } catch (const io_error& failure) { return failure.what(); }
    return "";
  };
  CHECK(message("unknown_architecture").find("\"gpt_neox\" is not supported") != std::string::npos);
  CHECK(message("unknown_rope").find("rope type \"yarn\" is not supported") != std::string::npos);
  CHECK(message("unknown_rope_older").find("rope type \"dynamic\" is not supported") != std::string::npos);
}

namespace {

// Against transformers: logits of the first prompts, and the first tokens of greedy texts.
void check_model(const language_model<float, test_backend>& lm, std::size_t prompts, index_t tokens) {
  const auto reference = stored("smollm2_logits.json");
  const auto fixed = reference["fixed_ids"].get<std::vector<index_t>>();
  const index_t V = lm.config.vocabulary;
  double worst = 0;
  for (const auto& prompt : reference["prompts"]) {
    if (prompts-- == 0) break;
    const auto found = all_logits(lm, prompt["ids"].get<std::vector<token_id>>());
    index_t r = 0;
    for (const auto& row : prompt["rows"]) {
      const auto numbers = row.get<std::vector<double>>();
      const float* logits = found.data() + r++ * V;
      double top = *std::max_element(logits, logits + V), sum = 0;
      for (index_t v = 0; v < V; ++v) sum += std::exp(double(logits[v]) - top);
      worst = std::max(worst, std::abs(top + std::log(sum) - numbers[0]));
      for (int k = 0; k < 8; ++k)
        worst = std::max(worst, std::abs(double(logits[index_t(numbers[1 + k])]) - numbers[9 + k]));
      for (std::size_t k = 0; k < fixed.size(); ++k)
        worst = std::max(worst, std::abs(double(logits[fixed[k]]) - numbers[17 + k]));
    }
    CHECK(std::size_t(r) == prompt["ids"].size());
  }
  INFO("largest difference " << worst);
  CHECK(worst <= 2e-3);
  for (const auto& one : reference["greedy"]) {
    auto expected = one["new_ids"].get<std::vector<token_id>>();
    const index_t whole = index_t(expected.size()), count = std::min(whole, tokens);
    if (one["ended"].get<bool>()) expected.pop_back();
    if (count < whole) expected.resize(count);
    const auto answers = generate(lm, no_method{}, {one["ids"].get<std::vector<token_id>>()},
                                  {.max_new = count, .stop = lm.end_tokens()});
    CHECK(answers[0] == expected);
    if (count == whole) CHECK(lm.tokenizer().decode(answers[0]) == one["new_text"].get<std::string>());
    if (count < whole) break;
  }
}

}  // namespace

TEST_CASE("SmolLM2 gives the logits and the greedy text of transformers", "[model]") {
  const auto path = require_model();
  if (!path) return;
  test_backend backend = with_threads(2);
  std::string fingerprint;
  {
    const auto lm = load_causal_lm<float>(*path, backend);
    CHECK_FALSE(lm.embedding.quantized());
    fingerprint = lm.fingerprint();
    check_model(lm, 100, 1000);
  }
  const auto lm = load_causal_lm<float>(*path, backend, {.weights = weights_as::stored});
  CHECK(lm.head.quantized());
  CHECK(lm.layers[0].attention.query.weight.quantized());
  CHECK(backend.bytes_in_use() < 100 << 20);
  CHECK(lm.fingerprint() == fingerprint);
  if (test_backend::skinny_rows > 8)
    check_model(lm, 100, 1000);
  else
    check_model(lm, 1, 2);  // number by number
}

namespace {

template <class Backend>
void check_bfloat16(const std::string& path) {
  if constexpr (Backend::stores_bfloat16) {
    Backend backend = with_threads(2);
    const auto lm = load_causal_lm<bfloat16>(path, backend);
    CHECK(lm.fingerprint() == load_causal_lm<float>(path, backend).fingerprint());  // adapters are for both
    CHECK(generate(lm, no_method{}, {lm.tokenizer().encode("The capital of France is")}, {.max_new = 2})[0] ==
          lm.tokenizer().encode(" Paris.", {.bos = false}));
    using method_type = iapt_method<key_value_generator<float, Backend>>;
    auto method = method_type::make(lm, {.bottleneck = 8, .start_text = lm.tokenizer().encode("Answer the question.")});
    const temporary_folder folder;
    save_adapter(method, lm, folder.path() / "adapter");
    auto again = load_adapter<method_type>(lm, folder.path() / "adapter");
    std::vector<std::vector<float>> values;
    method.visit([&](const std::string&, const auto& x, tensor_role) { values.push_back(to_host(x)); });
    std::size_t next = 0;
    again.visit([&](const std::string&, const auto& x, tensor_role) { CHECK((to_host(x) == values.at(next++))); });
    CHECK(next == values.size());
    // LoRA and P-tuning v2 at their starts are the base model, behind a text.
    const auto text = lm.tokenizer().encode("The capital of France is");
    const auto bare_text = generate(lm, no_method{}, {text}, {.max_new = 3});
    const auto lora = make_lora(lm);
    CHECK(generate(lm, lora, {text}, {.max_new = 3}) == bare_text);
    CHECK(generate(merged(lm, lora), no_method{}, {text}, {.max_new = 3}) == bare_text);
    const std::vector<token_id> read(text.begin(), text.begin() + 2), rest(text.begin() + 2, text.end());
    CHECK(generate(lm, make_p_tuning_v2(lm, {.soft_tokens = 2, .start_text = read}), {rest}, {.max_new = 3}) ==
          bare_text);
  }
}

}  // namespace

TEST_CASE("a real model in bfloat16, with an adapter in float", "[model]") {
  if (const auto path = require_model()) check_bfloat16<test_backend>(*path);
}

TEST_CASE("the files beside tokenizer.json are read", "[model]") {
  const temporary_folder folder;
  folder.write("tokenizer.json", R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})");
  folder.write("tokenizer_config.json", R"({"eos_token": "<end>", "chat_template": "in the configuration"})");
  CHECK(load_tokenizer_spec(folder.path()).eos == 2);
  CHECK(load_tokenizer_spec(folder.path()).chat_template == "in the configuration");
  folder.write("special_tokens_map.json", R"({"bos_token": "<begin>"})");
  folder.write("added_tokens.json", R"({"<more>": 7})");
  folder.write("chat_template.jinja", "in a file");
  const auto spec = load_tokenizer_spec(folder.path());
  CHECK(tokenizer(spec).encode("b<more><begin><end>") == std::vector<token_id>{1, 2, 3, 4});
  CHECK(spec.bos == 3);
  CHECK(spec.chat_template == "in a file");
  std::filesystem::create_directory(folder.path() / "additional_chat_templates");
  folder.write("additional_chat_templates/default.jinja", "named");
  folder.write("additional_chat_templates/tools.jinja", "not this");
  CHECK(load_tokenizer_spec(folder.path()).chat_template == "named");
}

TEST_CASE("a folder with tokenizer.model only is refused, with what to do", "[model]") {
  const temporary_folder folder;
  folder.write("tokenizer.model", "");
  CHECK_THROWS_AS(load_tokenizer_spec(folder.path()), io_error);
  CHECK_THROWS_WITH(load_tokenizer_spec(folder.path()), has_text("no tokenizer.json") && has_text("save_pretrained"));
}

}  // namespace iapt::test::io_load_causal_lm
