// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// Adapter folders: what is written is read back, and what does not belong is refused by name.
#include "iapt/io/adapter.hpp"

#include "data/byte_tokenizer.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/io_errors.hpp"
#include "support/model.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::io_adapter {
namespace {

using method_type = iapt_method<key_value_generator<float, test_backend>>;

template <class Method>
std::vector<std::vector<float>> numbers_of(Method& method) {
  std::vector<std::vector<float>> all;
  method.visit([&](const std::string&, const auto& x, tensor_role) { all.push_back(to_host(x)); });
  return all;
}

}  // namespace

TEST_CASE("adapter folders", "[model]") {
  const auto path = require_model();
  if (!path) return;
  test_backend backend = with_threads(1);
  const auto lm = load_causal_lm<float>(*path, backend);
  const temporary_folder folder;
  const auto adapter = folder.path() / "sql";
  auto method = method_type::make(
      lm, {.soft_tokens = 3, .bottleneck = 4, .where = placement::late, .start = prompt_start::random, .seed = 7});
  save_adapter(method, lm, adapter);
  auto read = load_adapter<method_type>(lm, adapter);
  CHECK(numbers_of(read) == numbers_of(method));
  CHECK(read.options.where == placement::late);
  CHECK(read.soft_tokens() == 3);
  CHECK(adapter_folder(adapter) == adapter);
  for (const char* inside : {"best", "last"}) {  // of a run's folder, the best adapter before the last
    std::filesystem::create_directories(folder.path() / "run");
    save_adapter(method, lm, folder.path() / "run" / inside);
    CHECK(adapter_folder(folder.path() / "run") == folder.path() / "run" / "best");
  }

  const auto config = nlohmann::json::parse(read_text_file(adapter / "adapter_config.json"));
  const auto refused = [&](const std::string& key, const nlohmann::json& value) {
    auto other = config;
    if (value.is_null())
      other.erase(key);
    else
      other[key] = value;
    write_text_file(adapter / "adapter_config.json", other.dump());
    return io_message([&] { load_adapter<method_type>(lm, adapter); });
  };
  CHECK_THAT(refused("bottleneck", 60000), has_text("adapter_config.json") && has_text("(576, 60000)"));
  CHECK_THAT(refused("bottleneck", 1 << 30), has_text("bottleneck must be from 1 to 65536"));
  CHECK_THAT(refused("soft_tokens", 2), has_text("shape"));
  CHECK_THAT(refused("soft_tokens", 3.9), has_text("not a whole number"));
  CHECK_THAT(refused("soft_tokens", -1), has_text("soft_tokens must be"));
  CHECK_THAT(refused("share", 2), has_text("does not belong"));
  CHECK_THAT(refused("placement", "middle\x1b[2J"), has_text("expected front or late") && !has_text("\x1b"));
  CHECK_THAT(refused("output", "hidden"), has_text("this program lacks"));
  CHECK_THAT(refused("backbone", "0000000000000000"), has_text("made for another backbone"));
  CHECK_THAT(refused("pooler", nullptr), has_text("there is no \"pooler\""));

  // A folder of somebody else is not replaced.
  folder.write("photos/cat.jpg", "precious");
  CHECK_THAT(io_message([&] { save_adapter(method, lm, folder.path() / "photos"); }), has_text("holds other files"));
  CHECK(std::filesystem::exists(folder.path() / "photos" / "cat.jpg"));
  // But an adapter is, and what others put beside it stays.
  folder.write("sql/training_args.bin", "precious"), folder.write("sql/README.md", "precious");
  save_adapter(method, lm, adapter);
  CHECK(contents(adapter / "training_args.bin") == "precious");
  CHECK(contents(adapter / "README.md") == "precious");
  read = load_adapter<method_type>(lm, adapter);
  CHECK(numbers_of(read) == numbers_of(method));
}

namespace {

using small_lm = language_model<double, test_backend>;
small_lm small(test_backend& backend, const std::string& name) {
  const auto path = test_data("models/" + name);
  return {load_backbone<double>(path, backend), byte_tokenizer(), path};
}
nlohmann::json json_of(const std::filesystem::path& path) { return nlohmann::json::parse(read_text_file(path)); }

}  // namespace

TEST_CASE("adapters of PEFT give PEFT's logits, and are written as PEFT reads them", "[model]") {
  test_backend backend = with_threads(1);
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(test_data("adapters"))) folders.push_back(entry.path());
  REQUIRE(folders.size() >= 10);
  for (const std::filesystem::path& folder : folders) {
    const std::string name = folder.filename().string();
    INFO(name);
    const auto reference = json_of(folder / "logits.json");
    const small_lm lm = small(backend, reference["model"]);
    packed_batch batch;
    batch.add(reference["ids"].get<std::vector<token_id>>());
    const index_t rows = index_t(reference["logits"].size());
    batch.logit_rows.clear();
    for (index_t r = 0; r < rows; ++r) batch.logit_rows.push_back(std::int32_t(batch.tokens.size() - rows + r));
    std::vector<double> expected;
    for (const auto& row : reference["logits"])
      for (const auto& x : row) expected.push_back(x.get<double>());

    const temporary_folder other;
    with_adapter(lm, folder, [&](auto method) {
      CHECK(difference(logits(lm, batch, method), expected) < 1e-8);
      if constexpr (requires { merged(lm, method); })
        CHECK(difference(logits(merged(lm, method), batch), expected) < 1e-8);
      save_adapter(method, lm, other.path() / name);
    });
    // Written again, it has the tensors that PEFT wrote, and means the same.
    const auto theirs = safetensors_file::open(folder / "adapter_model.safetensors");
    const auto ours = safetensors_file::open(other.path() / name / "adapter_model.safetensors");
    REQUIRE(ours.tensors().all().size() == theirs.tensors().all().size());
    for (const stored_tensor& t : theirs.tensors().all()) {
      REQUIRE(ours.tensors().find(t.name));
      const auto as_float = read_stored<double>(theirs, t.name, t.shape);
      CHECK(read_stored<double>(ours, t.name, t.shape) == as_float);
    }
    with_adapter(lm, other.path() / name,
                 [&](const auto& method) { CHECK(difference(logits(lm, batch, method), expected) < 1e-8); });
    const auto config = json_of(other.path() / name / "adapter_config.json");
    for (const char* key : {"peft_type", "task_type", "r", "lora_alpha", "use_rslora", "num_virtual_tokens"})
      CHECK(config.value(key, nlohmann::json()) ==
            json_of(folder / "adapter_config.json").value(key, nlohmann::json()));
    // PEFT refuses a feed-forward module that is no target by the same name.
    for (const auto& inner : config.value("feedforward_modules", nlohmann::json::array())) {
      const auto& targets = config["target_modules"];
      CHECK(std::find(targets.begin(), targets.end(), inner) != targets.end());
    }
  }
}

TEST_CASE("adapters that would be computed wrongly are refused", "[model]") {
  test_backend backend = with_threads(1);
  const small_lm lm = small(backend, "llama_grouped"), tied = small(backend, "llama_tied");
  const auto nothing = [](const auto&) {};
  const temporary_folder other;
  const auto folder = other.path() / "adapter";
  std::filesystem::copy(test_data("adapters/lora_all"), folder);
  const auto config = json_of(folder / "adapter_config.json");
  const auto refused = [&](const std::string& key, const nlohmann::json& value) {
    auto changed = config;
    changed[key] = value;
    write_text_file(folder / "adapter_config.json", changed.dump());
    return io_message([&] { with_adapter(lm, folder, nothing); });
  };
  CHECK(refused("lora_dropout", 0.1) == "nothing thrown");
  CHECK(refused("a_key_of_the_future", nullptr) == "nothing thrown");
  CHECK_THAT(refused("a_key_of_the_future", 3), has_text("\"a_key_of_the_future\" is \"3\""));
  CHECK_THAT(refused("use_dora", true), has_text("adapter_config.json: \"use_dora\""));
  CHECK_THAT(refused("bias", "all"), has_text("\"bias\""));
  CHECK_THAT(refused("init_lora_weights", "pissa"), has_text("\"init_lora_weights\""));
  CHECK_THAT(refused("modules_to_save", {"lm_head"}), has_text("\"modules_to_save\""));
  CHECK_THAT(refused("alpha_pattern", {{"q_proj", "much"}}),
             has_text("\"alpha_pattern\": \"q_proj\" has an unexpected"));
  CHECK_THAT(refused("alpha_pattern", {{"q_proj", -1}}), has_text("alpha_pattern of \"q_proj\" must be from 1e-06 to"));
  CHECK_THAT(refused("alpha_pattern", {"q_proj"}), has_text("\"alpha_pattern\": expected an object"));
  CHECK_THAT(refused("alpha_pattern", {{"layers.(0|1).*", 3}}),
             has_text("the pattern \"layers.(0|1).*\" is a regular expression that is not supported"));
  CHECK_THAT(refused("rank_pattern", {{"q_proj", "two"}}), has_text("\"rank_pattern\""));
  CHECK_THAT(refused("r", 8), has_text("has rank 3, which neither r nor rank_pattern says"));
  CHECK_THAT(refused("lora_alpha", "16"), has_text("\"lora_alpha\" has an unexpected type"));
  CHECK_THAT(refused("r", 0), has_text("r must be from 1 to 65536"));
  CHECK_THAT(refused("peft_type", "LOHA\x1b[31m"),
             has_text("is not known to this program; it knows ") && !has_text("\x1b"));
  CHECK(refused("target_modules", ".*\\.q_proj") == "nothing thrown");  // a pattern; the tensors say which
  const auto with_config = [&](const std::string& text) {
    write_text_file(folder / "adapter_config.json", text);
    return io_message([&] { with_adapter(lm, folder, nothing); });
  };
  CHECK_THAT(with_config(R"({"peft_type": "LORA", "r": 3, "lora_alpha": 1e999})"), has_text("not usable JSON"));
  CHECK_THAT(with_config(R"({"peft_type": "LORA", "r": )" + std::string(200000, '[')), has_text("nested over 64 deep"));
  // One matrix of a pair, and none at all.
  const auto with_tensors = [&](std::initializer_list<std::pair<const char*, extents<2>>> tensors) {
    tensor_file_writer<float> file;
    for (const auto& [name, shape] : tensors)
      file.add(name, {shape[0], shape[1]}, std::vector<float>(std::size_t(shape[0] * shape[1])));
    file.write(folder / "adapter_model.safetensors");
    return io_message([&] { with_adapter(lm, folder, nothing); });
  };
  write_text_file(folder / "adapter_config.json", config.dump());
  CHECK_THAT(with_tensors({{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", {3, 32}}}),
             has_text("no tensor \"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight\""));
  CHECK_THAT(with_tensors({{"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", {32, 3}}}),
             has_text("no matrix \"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight\""));
  CHECK_THAT(with_tensors({}), has_text("no matrix for any linear map"));
  std::filesystem::copy_file(test_data("adapters/lora_all/adapter_model.safetensors"),
                             folder / "adapter_model.safetensors", std::filesystem::copy_options::overwrite_existing);
  CHECK_THAT(io_message([&] { with_adapter(tied, folder, nothing); }),
             has_text("q_proj.lora_A.weight") && has_text("shape"));
  CHECK_THAT(io_message([&] { load_adapter<p_tuning_v2_method<double, test_backend>>(lm, folder); }),
             has_text("is of the method \"LORA\", not p-tuning-v2"));

  // Ours know the backbone.
  with_adapter(lm, folder, [&](auto method) { save_adapter(method, lm, other.path() / "ours"); });
  CHECK_THAT(io_message([&] { with_adapter(tied, other.path() / "ours", nothing); }),
             has_text("made for another backbone"));
  std::filesystem::rename(folder / "adapter_model.safetensors", folder / "adapter_model.bin");
  CHECK_THAT(io_message([&] { with_adapter(lm, folder, nothing); }), has_text("pickle"));
  std::filesystem::remove_all(folder);
  std::filesystem::copy(test_data("adapters/prefix"), folder);
  const small_lm biases = small(backend, "llama_biases_rope3");
  auto changed = json_of(folder / "adapter_config.json");
  changed["num_virtual_tokens"] = 4000;
  write_text_file(folder / "adapter_config.json", changed.dump());
  CHECK_THAT(io_message([&] { with_adapter(biases, folder, nothing); }), has_text("\"prompt_embeddings\""));
}

TEST_CASE("an adapter is known by all weights of its backbone, one of version 0.1 by some", "[model]") {
  test_backend backend = with_threads(1);
  std::string warnings;
  small_lm lm(load_backbone<double>(test_data("models/llama_grouped"), backend), byte_tokenizer(), "m",
              [&](const std::string& text) { warnings += text; });
  CHECK(lm.fingerprint() == "2:a2977008de476bf0");  // stored in adapters, so it must not change
  const temporary_folder folder;
  const auto adapter = folder.path() / "a", config = adapter / "adapter_config.json";
  const auto read = [&] { return io_message([&] { with_adapter(lm, adapter, [](auto) {}); }); };
  const auto check = [&](const auto& set_fingerprint) {
    CHECK(read() == "nothing thrown");
    CHECK(warnings.empty());
    // Where a model has none of these weights, it is another one.
    const auto layers = lm.layers;
    for (auto& layer : lm.layers)
      for (auto* map :
           {&layer.attention.key, &layer.attention.value, &layer.attention.output, &layer.mlp.gate, &layer.mlp.up})
        map->weight = filled<double>(backend, map->weight.shape(), 0);
    CHECK_THAT(read(), has_text("made for another backbone"));
    lm.layers = layers;

    set_fingerprint("bc35f0fa92875e4d");  // what version 0.1 of the library made of this model
    CHECK(read() == "nothing thrown");
    CHECK_THAT(warnings, has_text("a fingerprint of version 0.1"));
    warnings.clear();
    set_fingerprint("bc35f0fa92875e4e");
    CHECK_THAT(read(), has_text("made for another backbone (\"bc35f0fa92875e4e\"), not for m (bc35f0fa92875e4d)"));
    for (const char* other : {"", "3:bc35f0fa92875e4d"}) {
      set_fingerprint(other);
      CHECK_THAT(read(),
                 has_text("the fingerprint of the adapter's backbone is \"" + std::string(other) + "\", which"));
    }
    CHECK(warnings.empty());
  };
  SECTION("in our own format") {
    auto method = iapt_method<key_value_generator<double, test_backend>>::make(
        lm, {.bottleneck = 4, .start = prompt_start::random});
    save_adapter(method, lm, adapter);
    check([&](const std::string& fingerprint) {
      auto changed = json_of(config);
      changed["backbone"] = fingerprint;
      write_text_file(config, changed.dump());
    });
  }
  SECTION("in PEFT's") {
    const auto tensors = adapter / "adapter_model.safetensors";
    auto method = make_lora(lm, {.rank = 2, .targets = {"q_proj"}});
    save_adapter(method, lm, adapter);
    check([&](const std::string& fingerprint) {
      tensor_file_writer<double> writer;
      method.store(writer);
      writer.write(tensors, {{"iapt.backbone", fingerprint}});
    });
  }
}

}  // namespace iapt::test::io_adapter
