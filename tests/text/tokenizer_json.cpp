// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/tokenizer_json.hpp"

#include <string>

#include "text/reference.hpp"

namespace iapt::test::text_tokenizer_json {

using nlohmann::json;

namespace {

// The small tokenizer with a JSON merge patch.
std::string patched(const json& patch) {
  json document = small_tokenizer_json();
  document.merge_patch(patch);
  return document.dump();
}

void check_refused(const json& patch, const std::string& reason) {
  INFO(patch);
  CHECK_THROWS_AS(parse_tokenizer_json(patched(patch), "t.json"), io_error);
  CHECK_THROWS_WITH(parse_tokenizer_json(patched(patch), "t.json"), has_text("t.json") && has_text(reason));
}

}  // namespace

TEST_CASE("parts of tokenizer.json that would change ids are refused", "[text]") {
  check_refused({{"normalizer", {{"type", "Lowercase"}}}}, "Lowercase");
  check_refused({{"pre_tokenizer", {{"type", "Metaspace"}}}}, "Metaspace");
  check_refused({{"pre_tokenizer", nullptr}}, "pre_tokenizer");
  check_refused({{"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", 1}}}}, "add_prefix_space");
  check_refused({{"pre_tokenizer", {{"pretokenizers", json::array()}}}}, "no ByteLevel");
  const json split = {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Removed"}};
  check_refused({{"pre_tokenizer", {{"pretokenizers", json::array({split})}}}}, "Removed");
  check_refused({{"decoder", {{"type", "Metaspace"}}}}, "decoder");
  check_refused({{"post_processor", {{"type", "BertProcessing"}}}}, "BertProcessing");
  check_refused({{"model", {{"type", "Unigram"}}}}, "Unigram");
  check_refused({{"model", {{"dropout", 0.1}}}}, "dropout");
  check_refused({{"model", {{"byte_fallback", true}}}}, "pre_tokenizer\" of type Digits");
  check_refused({{"model", {{"end_of_word_suffix", "</w>"}}}}, "end_of_word_suffix");
  check_refused({{"model", {{"unk_token", "absent"}}}}, "unk_token");
}

TEST_CASE("damaged tokenizer.json", "[text]") {
  CHECK_THROWS_WITH(parse_tokenizer_json("{\"a\": ", "t.json"), has_text("t.json: byte 7") && has_text("JSON"));
  CHECK_THROWS_WITH(parse_tokenizer_json(std::string(1000, '['), "t.json"),
                    has_text("t.json: the tokenizer is nested over 64 deep"));
  CHECK_THROWS_AS(parse_tokenizer_json("", "t.json"), io_error);
  CHECK_THROWS_AS(parse_tokenizer_json("[]", "t.json"), io_error);
  CHECK_THROWS_AS(parse_tokenizer_json("\"\xFF\"", "t.json"), io_error);
  check_refused({{"model", nullptr}}, "model");
  check_refused({{"model", {{"vocab", {{"x", 4294967296}}}}}}, "token id");
  check_refused({{"model", {{"vocab", {{"x", -1}}}}}}, "token id");
  check_refused({{"model", {{"vocab", {{"x", 1.5}}}}}}, "token id");
  check_refused({{"model", {{"vocab", {{"another", 5}}}}}}, "gives the id 5 to both");
  check_refused({{"model", {{"merges", {{"a", "b", "c"}}}}}}, "merges[0]");
  check_refused({{"model", {{"merges", {"a b c"}}}}}, "merges[0]");
  check_refused({{"added_tokens", {{{"id", 3}, {"content", 7}}}}}, "content");
  check_refused({{"model", {{"vocab", {{"<|im_start|>", nullptr}, {"<|im_end|>", nullptr}}}}}},
                "so it is not certain which one the added token \"<|im_start|>\" has");
  check_refused({{"added_tokens", {{{"id", 3}, {"content", "x"}, {"lstrip", 1}}}}}, "lstrip");
}

TEST_CASE("merges as pairs and as strings", "[text]") {
  json document = small_tokenizer_json();
  const auto before = parse_tokenizer_json(document.dump(), "t.json").merges;
  for (auto& merge : document["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  CHECK(parse_tokenizer_json(document.dump(), "t.json").merges == before);
  CHECK(before.size() > 100);
}

}  // namespace iapt::test::text_tokenizer_json
