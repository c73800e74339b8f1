// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include <cmath>
#include <string>

#include "text/sentencepiece.hpp"

namespace iapt::test::text_sentencepiece_refused {

using namespace sentencepiece_model;
using nlohmann::json;

TEST_CASE("GGUF files of SentencePiece vocabularies that are refused", "[text]") {
  auto refused = [](auto change, const std::string& reason) {
    auto gguf = small_gguf();
    change(gguf);
    INFO(reason);
    CHECK_THROWS_AS(tokenizer(make_tokenizer_spec(gguf)), io_error);
    CHECK_THROWS_WITH(tokenizer(make_tokenizer_spec(gguf)), has_text("m.gguf") && has_text(reason));
  };
  const auto byte = static_cast<std::size_t>(id_of("<0x41>"));
  refused([](auto& g) { g.scores.clear(); }, "tokenizer.ggml.scores is missing");
  refused([](auto& g) { g.scores.pop_back(); }, "tokenizer.ggml.scores has");
  refused([](auto& g) { g.scores[400] = NAN; }, "the score of token 400 is not a finite number");
  refused([](auto& g) { g.scores[400] = -INFINITY; }, "the score of token 400 is not a finite number");
  refused([](auto& g) { g.tokens[400] = g.tokens[399]; }, "the tokens 399 and 400 are both");
  refused([](auto& g) { g.tokens[400] = std::string(300, 'x'); }, "token 400 has 300 bytes");
  refused([&](auto& g) { g.tokens[byte] = "other"; }, "but tokens from <0x00> to <0xFF>, and no others, are of type 6");
  refused([&](auto& g) { g.token_types[byte] = 1; }, "no others, are of type 6");
  refused([&](auto& g) { g.tokens[byte] = "another", g.token_types[byte] = 1; }, "the vocabulary has no token <0x41>");
  refused([](auto& g) { g.bos_token_id = 1 << 20; }, "bos_token_id");
  auto gguf = small_gguf();
  gguf.tokens.push_back(std::string(300, 'x')), gguf.token_types.push_back(4), gguf.scores.push_back(0);
  CHECK(tokenizer(make_tokenizer_spec(gguf)).encode("a" + std::string(300, 'x')).back() ==
        static_cast<token_id>(gguf.tokens.size()) - 1);
  gguf = small_gguf();
  gguf.tokens[400] = "\xFF\xFE", gguf.tokens[401] = "", gguf.token_types.clear();
  CHECK_NOTHROW(tokenizer(make_tokenizer_spec(gguf)).encode("the \u5143 text"));
}

TEST_CASE("parts of a SentencePiece tokenizer.json that are refused", "[text]") {
  auto refused = [](const json& patch, const std::string& reason, const std::string& name = "llama") {
    json document = family(name);
    document.merge_patch(patch);
    INFO(patch);
    CHECK_THROWS_AS(words_of(document), io_error);
    CHECK_THROWS_WITH(words_of(document), has_text("t.json") && has_text(reason));
  };
  const json prepend{{"type", "Prepend"}, {"prepend", "\u2581"}};
  refused({{"normalizer", nullptr}}, "\"normalizer\" does not replace spaces");
  refused({{"normalizer", {{"normalizers", json::array({prepend})}}}}, "has Prepend without Replace");
  refused({{"normalizer", {{"normalizers", {{{"type", "NFKC"}}}}}}}, "of type NFKC");
  refused({{"normalizer", {{"normalizers", {{{"type", "Prepend"}, {"prepend", "_"}}}}}}}, "normalizer.prepend");
  refused({{"normalizer", {{"normalizers", {{{"type", "Sequence"}}}}}}}, "a Sequence in a Sequence");
  refused({{"normalizer", {{"content", "_"}}}}, "replaces other text", "gemma");
  refused({{"pre_tokenizer", {{"pattern", {{"String", "a"}}}}}}, "of type Split", "gemma");
  refused({{"pre_tokenizer", {{"type", "ByteLevel"}}}}, "of type ByteLevel");
  refused({{"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "\u2581"}}}}, "of type Metaspace");
  refused({{"pre_tokenizer", {{"replacement", "_"}}}}, "pre_tokenizer.replacement", "mistral");
  refused({{"pre_tokenizer", {{"prepend_scheme", "last"}}}}, "\"last\"", "mistral");
  refused({{"pre_tokenizer", {{"add_prefix_space", false}}}}, "add_prefix_space", "mistral");
  refused({{"decoder", nullptr}}, "\"decoder\" is not");
  refused({{"decoder", {{"type", "Metaspace"}}}}, "\"decoder\" is not");
  json strip = stored()["document"]["decoder"]["decoders"];
  strip[3]["start"] = 2;
  refused({{"decoder", {{"decoders", strip}}}}, "has a Strip");
  refused({{"model", {{"ignore_merges", true}}}}, "model.ignore_merges");
  refused({{"model", {{"byte_fallback", 1}}}}, "byte_fallback");
  refused({{"model", {{"byte_fallback", false}}}}, "of type Prepend is not supported without");
  refused({{"model", {{"vocab", {{"<0x41>", nullptr}, {"another", id_of("<0x41>")}}}}}},
          "the vocabulary has no token <0x41>");
  refused({{"model", {{"merges", json::array({json::array({"the", "absent"})})}}}}, "merge 0");
  refused({{"model", {{"type", "Unigram"}}}}, "Unigram");
}

}  // namespace iapt::test::text_sentencepiece_refused
