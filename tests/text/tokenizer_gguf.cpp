// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/tokenizer_gguf.hpp"

#include <string>
#include <vector>

#include "text/reference.hpp"

namespace iapt::test::text_tokenizer_gguf {
namespace {

// The metadata that a converter would make of the small tokenizer.
gguf_tokenizer small_gguf(const std::string& pre) {
  const auto spec = parse_tokenizer_json(small_tokenizer_json().dump(), "t.json");
  gguf_tokenizer gguf{.source = "m.gguf", .model = "gpt2", .pre = pre, .tokens = spec.tokens};
  for (const auto& [left, right] : spec.merges) gguf.merges.push_back(left + " " + right);
  gguf.token_types.assign(spec.tokens.size(), 1);
  for (const auto& token : spec.added) {
    gguf.tokens[static_cast<std::size_t>(token.id)] = token.text;
    gguf.token_types[static_cast<std::size_t>(token.id)] = token.special ? 3 : 4;
  }
  return gguf;
}

}  // namespace

TEST_CASE("ids by the name of the pre-tokenizer, as llama.cpp gives them", "[text]") {
  // tests/reference/make_gguf_tokens.py writes it.
  const auto stored = nlohmann::json::parse(read_file(test_data("tokens/gguf.json")));
  for (const auto& [pre, hashes] : stored["hashes"].items()) {
    auto gguf = small_gguf(pre);
    gguf.bos_token_id = small_tokenizer("llama3").find_special("<|begin|>");
    const tokenizer words(make_tokenizer_spec(gguf));
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      const auto text = stored["texts"][i].get<std::string>();
      INFO(pre << ", text " << i << ": " << text);
      CHECK(hash_of(words.encode(text)) == hashes[i].get<std::string>());
    }
  }
}

TEST_CASE("GGUF metadata and tokenizer.json give the same tokens", "[text]") {
  const std::string text = "They've 1234 things\u00b2, <|im_end|> isn't it?\n\n  cafe\u0301 \u4f60\u597d  <tool>";
  for (const auto& [pre, variant] :
       {std::pair("smollm", "small"), std::pair("gpt-2", "gpt2"), std::pair("qwen2", "qwen2")}) {
    INFO(pre);
    CHECK(tokenizer(make_tokenizer_spec(small_gguf(pre))).encode(text) == small_tokenizer(variant).encode(text));
  }
}

TEST_CASE("a GGUF file that does not name its pre-tokenizer", "[text]") {
  const std::string text = "They've 1234 things, isn't it?\n\n  12345 (cafe\u0301)";
  std::string warnings;
  const tokenizer words(make_tokenizer_spec(small_gguf(""), [&](const std::string& said) { warnings += said; }));
  CHECK(words.encode(text) == tokenizer(make_tokenizer_spec(small_gguf("default"))).encode(text));
  CHECK_THAT(warnings, has_text("m.gguf: tokenizer.ggml.pre is missing; \"default\" is taken"));
  CHECK_NOTHROW(make_tokenizer_spec(small_gguf("")));
}

TEST_CASE("GGUF metadata that are refused", "[text]") {
  auto refused = [](auto change, const std::string& reason) {
    auto gguf = small_gguf("smollm");
    change(gguf);
    CHECK_THROWS_AS(make_tokenizer_spec(gguf), io_error);
    CHECK_THROWS_WITH(make_tokenizer_spec(gguf), has_text("m.gguf") && has_text(reason));
  };
  refused([](auto& g) { g.model = "t5"; }, "only \"gpt2\" (byte-level BPE) and \"llama\"");
  refused([](auto& g) { g.model = "llama"; }, "tokenizer.ggml.scores is missing");
  refused([](auto& g) { g.pre = "other"; }, "tokenizer.json instead");
  refused([](auto& g) { g.pre = "other"; }, "smollm, starcoder");
  refused([](auto& g) { g.tokens.clear(); }, "no vocabulary");
  refused([](auto& g) { g.token_types.pop_back(); }, "token_type");
  refused([](auto& g) { g.merges.clear(); }, "tokenizer.ggml.merges is missing");
  refused([](auto& g) { g.merges[3] = "ab"; }, "merge 3");
  refused([](auto& g) { g.merges[3] = "a b c"; }, "merge 3");
  refused([](auto& g) { g.eos_token_id = 1 << 20; }, "eos_token_id");
  refused([](auto& g) { g.bos_token_id = -1; }, "bos_token_id");
  refused([](auto& g) { g.add_bos_token = true; }, "tokenizer.ggml.bos_token_id is missing");
}

}  // namespace iapt::test::text_tokenizer_gguf
