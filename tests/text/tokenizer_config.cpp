// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/tokenizer_config.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "text/reference.hpp"

namespace iapt::test::text_tokenizer_config {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

tokenizer_side_files side_files(const ordered_json& stored) {
  const auto text_of = [&](const char* name) -> std::optional<std::string> {
    if (!stored["files"].contains(name)) return {};
    return stored["files"][name].dump();
  };
  tokenizer_side_files files{.folder = "folder",
                             .model = text_of("config"),
                             .config = text_of("tokenizer_config"),
                             .special_tokens_map = text_of("special_tokens_map"),
                             .added_tokens = text_of("added_tokens")};
  for (const auto& [name, text] : stored["templates"].items()) {
    const std::size_t slash = name.find('/');  // none in chat_template.jinja
    files.templates[slash == std::string::npos ? "default" : name.substr(slash + 1, name.size() - slash - 7)] = text;
  }
  return files;
}

tokenizer_spec completed(const json& patch, const tokenizer_side_files& files) {
  json document = small_tokenizer_json();
  document.merge_patch(patch);
  auto spec = parse_tokenizer_json(document.dump(), "tokenizer.json");
  read_tokenizer_config(spec, files);
  return spec;
}

json or_null(const std::optional<token_id>& id) { return id ? json(*id) : json(); }

}  // namespace

TEST_CASE("files beside tokenizer.json, as transformers reads them", "[text]") {
  // tests/reference/make_tokenizer_folders.py writes it.
  const auto stored = ordered_json::parse(read_file(test_data("tokens/folders.json")));
  for (const auto& in_order : stored["cases"]) {
    const json c = in_order;
    INFO(c["name"]);
    const tokenizer words(completed(c["patch"], side_files(in_order)));
    const tokenizer_spec& spec = words.spec();
    if (!c["bos"].is_null()) CHECK(spec.bos == c["bos"].get<token_id>());  // tokenizer.json may have one
    CHECK(or_null(spec.eos) == c["eos"]);
    CHECK((spec.chat_template.empty() ? json() : json(spec.chat_template)) == c["template"]);
    for (std::size_t i = 0; i < stored["texts"].size(); ++i)
      CHECK(json(words.encode(stored["texts"][i].get<std::string>())) == c["ids"][i]);

    std::map<token_id, json> added;
    json special = json::array();
    for (const auto& t : spec.added) added[t.id] = {t.id, t.text, t.normalized, t.lstrip, t.rstrip, t.single_word};
    json listed = json::array();
    for (const auto& [id, token] : added) {
      listed.push_back(token);
      if (words.is_special(id)) special.push_back(id);
    }
    CHECK(listed == c["added"]);
    CHECK(special == c["special"]);
  }
}

TEST_CASE("of a key that stands twice the last value counts", "[text]") {
  const auto spec = completed(json::object(), {.folder = "f", .config = R"({"extra_special_tokens": {"a": "<a>"},
    "pad_token": "<b>", "extra_special_tokens": {"c": "<c>"}, "pad_token": "<d>"})"});
  REQUIRE(spec.added.size() >= 2);
  CHECK(spec.added[spec.added.size() - 2].text == "<d>");
  CHECK(spec.added.back().text == "<c>");
}

TEST_CASE("files beside tokenizer.json that are refused", "[text]") {
  const auto refused = [](const tokenizer_side_files& files, const std::string& reason) {
    CHECK_THROWS_AS(completed(json::object(), files), io_error);
    CHECK_THROWS_WITH(completed(json::object(), files), has_text(reason));
  };
  const auto config_refused = [&](const std::string& config, const std::string& reason) {
    INFO(config);
    refused({.folder = "f", .config = config}, "f/tokenizer_config.json");
    refused({.folder = "f", .config = config}, reason);
  };
  config_refused("3", "not a JSON object");
  config_refused("{", "byte 2");
  config_refused(R"({"eos_token": 2})", "\"eos_token\" should be a string");
  config_refused(R"({"eos_token": {"content": 2}})", "\"eos_token\" should be a string");
  config_refused(R"({"eos_token": {"content": "x", "lstrip": 1}})", "\"lstrip\" should be true or false");
  config_refused(R"({"extra_special_tokens": "x"})", "should be a list");
  config_refused(R"({"extra_special_tokens": [3]})", "\"extra_special_tokens\" should be a string");
  config_refused(R"({"added_tokens_decoder": []})", "\"added_tokens_decoder\" should be an object");
  config_refused(R"({"added_tokens_decoder": {"-1": {"content": "x"}}})", "\"-1\", which is no token id");
  refused({.folder = "f", .model = "[]"}, "f/config.json: the file is not a JSON object");
  refused({.folder = "f", .special_tokens_map = R"({"bos_token": []})"}, "f/special_tokens_map.json: \"bos_token\"");
  refused({.folder = "f", .added_tokens = R"({"x": "y"})"}, "f/added_tokens.json: \"x\" should have a token id");
}

}  // namespace iapt::test::text_tokenizer_config
