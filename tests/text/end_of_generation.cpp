// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/end_of_generation.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "iapt/text/tokenizer.hpp"
#include "iapt/text/tokenizer_config.hpp"
#include "iapt/text/tokenizer_gguf.hpp"
#include "support/catch.hpp"

namespace iapt::test::text_end_of_generation {
namespace {

/// The ends of a vocabulary of the letters a to z and these tokens, of the types that GGUF has.
std::vector<std::string> ends_of(const std::vector<std::pair<std::string, int>>& tokens,
                                 const std::function<void(gguf_tokenizer&)>& change = {}) {
  gguf_tokenizer gguf{.source = "m.gguf", .model = "gpt2", .pre = "gpt-2"};
  for (char c = 'a'; c <= 'z'; ++c) gguf.tokens.emplace_back(1, c);
  gguf.tokens.insert(gguf.tokens.end(), {"<", "/", ">", "</", "s>", "ab"});
  gguf.merges = {"a b", "< /", "s >"};
  gguf.token_types.assign(gguf.tokens.size(), 1);
  for (const auto& [text, type] : tokens) {
    gguf.tokens.push_back(text);
    gguf.token_types.push_back(type);
  }
  if (change) change(gguf);
  const tokenizer words(make_tokenizer_spec(gguf));
  std::vector<std::string> found;
  for (const token_id id : words.end_of_generation()) {
    CHECK(words.is_end_of_generation(id));
    found.emplace_back(words.bytes(id));
  }
  return found;
}
using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("tokens that end an answer are known by their keys and by their text", "[text]") {
  constexpr int normal = 1, control = 3, user_defined = 4;
  CHECK(ends_of({}).empty());
  CHECK(ends_of({{"<|im_start|>", control}, {"<|im_end|>", control}}) == texts{"<|im_end|>"});
  CHECK(ends_of({{"<|end_of_text|>", control}, {"<|eot_id|>", control}, {"<|eom_id|>", control}}) ==
        texts{"<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"});
  const auto keys = [](gguf_tokenizer& gguf) {
    gguf.eos_token_id = 32;
    gguf.eot_token_id = 33;
    gguf.eom_token_id = 34;
  };
  CHECK(ends_of({{"<one>", control}, {"<two>", control}, {"<three>", control}, {"<four>", control}}, keys) ==
        texts{"<one>", "<two>", "<three>"});
  // A converter may take a control token for text.
  CHECK(ends_of({{"<|eot_id|>", user_defined}, {"<|im_end|>", normal}}) == texts{"<|eot_id|>", "<|im_end|>"});
}

TEST_CASE("a token of a known text that merges make is a word", "[text]") {
  const auto merged = [](gguf_tokenizer& gguf) { gguf.merges.push_back("</ s>"); };
  CHECK(ends_of({{"</s>", 1}}, merged).empty());
  CHECK(ends_of({{"</s>", 3}}) == texts{"</s>"});
}

TEST_CASE("the end of one of several messages ends no answer", "[text]") {
  CHECK(ends_of({{"<|end|>", 3}}) == texts{"<|end|>"});
  CHECK(ends_of({{"<|return|>", 3}, {"<|call|>", 3}, {"<|end|>", 3}}) == texts{"<|return|>", "<|call|>"});
  CHECK(ends_of({{"<|end|>", 3}, {"<|flush|>", 3}, {"<|calls|>", 3}}) == texts{"<|flush|>", "<|calls|>"});
}

TEST_CASE("a token that ends an answer is a control token", "[text]") {
  tokenizer_spec spec;
  spec.source = "t";
  spec.tokens = {"a", "b", "<|im_end|>"};
  spec.added = {{.id = 2, .text = "<|im_end|>", .special = false}};
  const tokenizer words(spec);
  CHECK(words.is_special(2));
  CHECK(words.decode({{0, 2, 1}}, true) == "ab");
  spec.end_of_generation = {3};
  CHECK_THROWS_WITH(tokenizer(spec), has_text("a token that ends an answer has id 3"));
}

TEST_CASE("eos_token_id is a number, a list, or absent", "[text]") {
  using ids = std::vector<token_id>;
  const auto read = [](const std::string& text) { return read_eos_token_ids(text, "config.json"); };
  CHECK(read("{}").empty());
  CHECK(read(R"({"eos_token_id": null})").empty());
  CHECK(read(R"({"eos_token_id": -1})").empty());
  CHECK(read(R"({"eos_token_id": 99999999999})").empty());
  CHECK(read(R"({"eos_token_id": 2})") == ids{2});
  CHECK(read(R"({"eos_token_id": [2, 3]})") == ids{2, 3});
  CHECK_THROWS_WITH(read(R"({"eos_token_id": "</s>"})"), has_text("config.json: \"eos_token_id\" should be"));
  CHECK_THROWS_WITH(read(R"({"eos_token_id": [2, true]})"), has_text("found boolean"));
}

}  // namespace iapt::test::text_end_of_generation
