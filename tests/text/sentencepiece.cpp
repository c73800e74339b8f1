// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/sentencepiece.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "iapt/text/stream_decoder.hpp"
#include "text/sentencepiece.hpp"

namespace iapt::test::text_sentencepiece {

using namespace sentencepiece_model;
using nlohmann::json;

namespace {

std::string streamed(const tokenizer& words, const std::vector<token_id>& ids, bool skip) {
  stream_decoder stream(words, skip);
  std::string all;
  for (const token_id id : ids) {
    const std::string piece = stream.next(id);
    CHECK(utf8::find_invalid(piece) == std::string::npos);
    all += piece;
  }
  return all + stream.finish();
}

}  // namespace

TEST_CASE("ids of hard texts in the manner of each family, as tokenizers gives them", "[text]") {
  for (const auto& [name, reference] : stored()["tokenizers"].items()) {
    const tokenizer words = words_of(family(name));
    for (std::size_t i = 0; i < stored()["texts"].size(); ++i) {
      const auto text = stored()["texts"][i].get<std::string>();
      INFO(name << ", text " << i << ": " << text);
      CHECK(hash_of(words.encode(text)) == reference["hashes"][i].get<std::string>());
      CHECK(words.encode(text) == words.encode(text));  // from the cache
    }
  }
}

TEST_CASE("ids by scores, as llama.cpp and SentencePiece give them", "[text]") {
  for (const auto& [name, hashes] : stored()["gguf"].items()) {
    const bool prefix = name != "no prefix";
    auto gguf = small_gguf(prefix);
    gguf.model_name = name;
    const tokenizer words(make_tokenizer_spec(gguf));
    for (std::size_t i = 0; i < stored()["texts"].size(); ++i) {
      const auto text = stored()["texts"][i].get<std::string>();
      INFO(name << ", text " << i << ": " << text);
      CHECK(hash_of(words.encode(text)) == hashes[i].get<std::string>());
      if (const auto& other = stored()["sentencepiece"][i]; prefix && !other.is_null())
        CHECK(hash_of(words.encode(text)) == other.get<std::string>());
    }
  }
}

TEST_CASE("decoding a SentencePiece vocabulary", "[text]") {
  for (const auto& [name, cases] : stored()["decode"].items()) {
    const tokenizer words = words_of(family(name));
    for (const auto& c : cases) {
      INFO(name << ", " << c);
      const auto ids = c["ids"].get<std::vector<token_id>>();
      CHECK(words.decode(ids, c["skip"]) == c["text"].get<std::string>());
      CHECK(streamed(words, ids, c["skip"]) == c["text"].get<std::string>());
    }
  }
}

TEST_CASE("what is encoded is decoded", "[text]") {
  for (const bool prefix : {true, false}) {
    const tokenizer words(make_tokenizer_spec(small_gguf(prefix)));
    for (const json& stored_text : stored()["texts"]) {
      const auto text = stored_text.get<std::string>();
      // Each piece behind an added token gets a space, and U+2581 becomes one.
      if (text.find('<') != text.npos || text.find(sentencepiece::space) != text.npos) continue;
      INFO(prefix << ", " << text);
      CHECK(words.decode(words.encode(text), true) == text);
      CHECK(streamed(words, words.encode(text), true) == text);
    }
  }
}

TEST_CASE("bytes are held back until the character is complete", "[text]") {
  const tokenizer words = words_of(family("llama"));
  const auto ids = words.encode("\U0001F600", {.bos = false});
  REQUIRE(ids.size() == 5);  // the space and four bytes
  stream_decoder stream(words);
  CHECK(stream.next(ids[0]).empty());
  for (std::size_t i : {1, 2, 3}) CHECK(stream.next(ids[i]).empty());
  CHECK(stream.next(ids[4]) == "\U0001F600");
  CHECK(stream.finish().empty());
  CHECK(stream.next(id_of("\u2581the")) == "the");  // the next text has its own beginning
  CHECK(stream.next(id_of("\u2581the")) == " the");
  // A character that does not end becomes U+FFFD.
  const std::vector<token_id> cut{id_of("<0xF0>"), id_of("<0x9F>"), id_of("\u2581the"), id_of("<0xE2>")};
  CHECK(words.decode(cut) == "\uFFFD the\uFFFD");
  CHECK(streamed(words, cut, false) == words.decode(cut));
  const std::vector<token_id> space{id_of("<0x20>"), id_of("<0x20>"), id_of("<0x41>")};
  CHECK(words.decode(space) == " A");
  CHECK(streamed(words, space, false) == " A");
}

TEST_CASE("a text that continues another one", "[text]") {
  const std::string text = "the <|user|>x other";
  for (const std::string name : {"llama", "mistral", "metaspace, always, split", "gemma"}) {
    INFO(name);
    const tokenizer words = words_of(family(name));
    const auto whole = words.encode(text);
    for (const std::size_t cut : {text.find("x"), text.find(" other")}) {
      auto ids = words.encode(text.substr(0, cut));
      const auto rest = words.encode(text.substr(cut), {.bos = false, .after = ids.back()});
      CHECK(words.decode(ids) + words.decode(rest, false, false) == words.decode(whole));
      ids.insert(ids.end(), rest.begin(), rest.end());
      CHECK(ids == whole);
    }
    CHECK(words.encode("the", {.bos = false, .after = words.spec().first}) == words.encode("the", {.bos = false}));
    stream_decoder stream(words, false, false);
    CHECK(stream.next(id_of("\u2581the")) == " the");
    CHECK_THROWS_AS(words.encode("the", {.after = 1 << 20}), error);
  }
}

TEST_CASE("a text does not forge control tokens of a SentencePiece vocabulary", "[text]") {
  auto gguf = small_gguf();
  json document = family("llama");
  const auto& vocabulary = document["model"]["vocab"];
  // Pieces of which merges would make the control token.
  std::vector<std::string> pieces{"</", "</s", "s>"};
  for (const std::string& piece : pieces) {
    document["model"]["vocab"][piece] = vocabulary.size();
    gguf.tokens.push_back(piece);
    gguf.token_types.push_back(1);
    gguf.scores.push_back(0);
  }
  for (const auto& pair : {std::pair("<", "/"), std::pair("s", ">"), std::pair("</", "s>")})
    document["model"]["merges"].push_back({pair.first, pair.second});
  for (const tokenizer& words : {words_of(document), tokenizer(make_tokenizer_spec(gguf))}) {
    const token_id end = *words.find_special("</s>");
    CHECK(words.encode("x</s>").back() == end);
    for (const token_id id : words.encode("x</s>", {.special = special_tokens::as_text, .bos = false}))
      CHECK_FALSE(words.is_special(id));
    CHECK(words.decode(words.encode("x</s>", {.special = special_tokens::as_text, .bos = false})) == "x</s>");
  }
}

TEST_CASE("special tokens in the trusted part of a text with replaced spaces", "[text]") {
  for (const std::string name : {"llama", "llama, special tokens normalized", "mistral"}) {
    INFO(name);
    const tokenizer words = words_of(family(name));
    const std::string text = "a b </s> c </s>\u2581d </s>";
    const auto count = [&](std::size_t untrusted_begin, std::size_t untrusted_end) {
      const auto ids = words.encode(text, {.trusted = [&](std::size_t begin, std::size_t end) {
                                      CHECK(end <= text.size());
                                      return end <= untrusted_begin || begin >= untrusted_end;
                                    }});
      return std::count(ids.begin(), ids.end(), id_of("</s>"));
    };
    const std::size_t first = text.find("</s>"), second = text.find("</s>", first + 1), last = text.rfind("</s>");
    CHECK(count(text.size(), text.size()) == 3);
    CHECK(count(0, text.size()) == 0);
    CHECK(count(first, first + 1) == 2);
    CHECK(count(first + 3, first + 4) == 2);
    CHECK(count(first + 4, last - 1) == 2);
    CHECK(count(second, text.size()) == 1);
    CHECK(count(0, 3) == 3);
    // The space that is put before the text belongs to nobody.
    const auto ids = words.encode("</s>x", {.trusted = [&](std::size_t begin, std::size_t end) {
                                    CHECK(begin <= end);
                                    return end <= 4;
                                  }});
    CHECK(std::count(ids.begin(), ids.end(), id_of("</s>")) == 1);
  }
}

TEST_CASE("a token that goes on behind a word", "[text]") {
  const auto joined = [](const std::string& piece, const std::string& text) {
    auto gguf = small_gguf();
    gguf.tokens.push_back(piece);
    gguf.token_types.push_back(1);
    gguf.scores.push_back(0);
    const auto ids = tokenizer(make_tokenizer_spec(gguf)).encode(text);
    return std::count(ids.begin(), ids.end(), static_cast<token_id>(gguf.tokens.size()) - 1);
  };
  CHECK(joined("e\u2581", "the the the") == 2);
  CHECK(joined("\u2581\u5143", "the \u5143\u5143") == 1);  // half of it is no token
  json document = family("llama");
  document["model"]["vocab"]["e\u2581"] = document["model"]["vocab"].size();
  auto& merges = document["model"]["merges"];
  merges.insert(merges.begin(), json::array({"e", "\u2581"}));
  const auto ids = words_of(document).encode("the the the");
  CHECK(std::count(ids.begin(), ids.end(), document["model"]["vocab"]["e\u2581"].get<token_id>()) == 2);
}

TEST_CASE("a GGUF file of Phi-3: control tokens include the white space behind them", "[text]") {
  auto gguf = small_gguf();
  const auto ids = [&](const std::string& text) { return tokenizer(make_tokenizer_spec(gguf)).encode(text); };
  const auto plain = ids("<|user|>\n the");
  gguf.model_name = "Phi-3 Mini";
  CHECK(ids("<|user|>\n the") == ids("<|user|>the"));
  CHECK(ids("<|user|>\n the") != plain);
  CHECK(ids("<s> the") != ids("<s>the"));
}

TEST_CASE("a beginning-of-text token, unless the GGUF file says no", "[text]") {
  auto gguf = small_gguf();
  CHECK(tokenizer(make_tokenizer_spec(gguf)).encode("") == std::vector<token_id>{1});
  CHECK(make_tokenizer_spec(gguf).eos == 2);
  gguf.add_bos_token = false;
  CHECK(tokenizer(make_tokenizer_spec(gguf)).encode("").empty());
}

}  // namespace iapt::test::text_sentencepiece
