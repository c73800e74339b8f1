// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/tokenizer.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "text/reference.hpp"

namespace iapt::test::text_tokenizer {

TEST_CASE("ids of hard texts, SmolLM2", "[text][model]") {
  const auto model = require_model();
  if (!model) return;
  const tokenizer words = smollm2(*model);
  CHECK(words.size() == 49152);
  CHECK(words.eos() == 2);
  CHECK_FALSE(words.spec().first);
  const auto& texts = token_cases()["texts"];
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto text = texts[i].get<std::string>();
    INFO("text " << i << ": " << text);
    CHECK(words.encode(text) == token_cases()["smollm2"][i].get<std::vector<token_id>>());
    CHECK(words.encode(text) == words.encode(text));  // from the cache
  }
  for (const auto& c : token_cases()["decode_smollm2"])
    CHECK(words.decode(c["ids"].get<std::vector<token_id>>(), c["skip"]) == c["text"].get<std::string>());
}

TEST_CASE("ids of hard texts, small vocabulary in the manner of each family", "[text]") {
  const auto& texts = token_cases()["texts"];
  for (const std::string variant : {"small", "gpt2", "digit_runs", "llama3", "qwen2", "unknown"}) {
    const tokenizer words = small_tokenizer(variant);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto text = texts[i].get<std::string>();
      INFO(variant << ", text " << i << ": " << text);
      CHECK(hash_of(words.encode(text)) == token_cases()["variants"][variant]["hashes"][i].get<std::string>());
    }
  }
}

TEST_CASE("special tokens as plain text", "[text]") {
  const tokenizer words = small_tokenizer();
  const auto& texts = token_cases()["texts"];
  for (std::size_t i = 0; i < texts.size(); ++i) {
    INFO("text " << i << ": " << texts[i]);
    const auto ids = words.encode(texts[i].get<std::string>(), {.special = special_tokens::as_text});
    CHECK(hash_of(ids) == token_cases()["as_text"][i].get<std::string>());
    CHECK(std::none_of(ids.begin(), ids.end(), [&](token_id id) { return words.is_special(id); }));
  }
}

TEST_CASE("every code point is classified as in the reference", "[text]") {
  const auto stored = nlohmann::json::parse(read_file(test_data("tokens/hashes.json")))["code points"];
  std::vector<char32_t> starts;
  for (char32_t c = 0; c < 0x33500; c += 256)
    if (c < 0xD800 || c >= 0xE000) starts.push_back(c);
  starts.insert(starts.end(), {0xE0000, 0xE0100});
  for (const std::string variant : {"small", "llama3"}) {
    const tokenizer words = small_tokenizer(variant);
    id_hash hash;
    for (const char32_t start : starts) {
      std::string text;
      for (char32_t c = start; c < start + 256; ++c) {
        std::string character;
        utf8::append(character, c);
        text += "x" + character + "x1" + character + " " + character + "\n";
      }
      hash.add(words.encode(text));
    }
    CHECK(hash.tokens == stored[variant]["tokens"].get<std::uint64_t>());
    CHECK(hash.text() == stored[variant]["hash"].get<std::string>());
  }
}

namespace {

void add_strings(const nlohmann::json& value, const tokenizer& words, id_hash& hash) {
  if (value.is_string()) return hash.add(words.encode(value.get_ref<const std::string&>()));
  if (value.is_structured())
    for (const auto& item : value) add_strings(item, words, hash);  // objects by sorted keys
}

// As texts_of in make_tokens.py.
id_hash hash_of_file(const std::string& name, const std::string& content, const tokenizer& words) {
  id_hash hash;
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t end = std::min(content.find('\n', at), content.size());
    lines.push_back(content.substr(at, end - at));
    at = end + 1;
  }
  for (const auto& line : lines)
    if (utf8::find_invalid(line) == std::string::npos) hash.add(words.encode(line));
  if (name.ends_with(".json") || name.ends_with(".jsonl")) {
    if (const auto whole = nlohmann::json::parse(content, nullptr, false); !whole.is_discarded()) {
      add_strings(whole, words, hash);
    } else {
      for (const auto& line : lines) add_strings(nlohmann::json::parse(line), words, hash);
    }
  }
  return hash;
}

// The content of a stored file; "a.zip/b" is b in a.zip, unpacked by Python.
std::string data_content(const std::string& folder, const std::string& name) {
  const std::size_t zip = name.find(".zip/");
  if (zip == std::string::npos) return read_file(folder + "/" + name);
  const auto unpacked = std::filesystem::temp_directory_path() / "iapt_test_datasets";
  const auto file = unpacked / name.substr(zip + 5);
  if (!std::filesystem::exists(file)) {
    const std::string command =
        "python3 -m zipfile -e '" + folder + "/" + name.substr(0, zip + 4) + "' '" + unpacked.string() + "'";
    if (std::system(command.c_str()) != 0) FAIL("cannot unpack: " << command);
  }
  return read_file(file.string());
}

}  // namespace

TEST_CASE("ids of every text in the data sets", "[text][model]") {
  const auto model = require_model();
  const auto folder = require_dataset("");
  if (!model || !folder) return;
  const tokenizer words = smollm2(*model);
  const auto expected = nlohmann::json::parse(read_file(test_data("tokens/hashes.json")));
  for (const auto& [name, stored] : expected["files"].items()) {
    INFO(name);
    const id_hash hash = hash_of_file(name, data_content(*folder, name), words);
    CHECK(hash.texts == stored["texts"].get<std::uint64_t>());
    CHECK(hash.tokens == stored["tokens"].get<std::uint64_t>());
    CHECK(hash.text() == stored["hash"].get<std::string>());
  }
}

TEST_CASE("decoding", "[text]") {
  const tokenizer words = small_tokenizer();
  for (const auto& c : token_cases()["decode"]) {
    INFO(c);
    CHECK(words.decode(c["ids"].get<std::vector<token_id>>(), c["skip"]) == c["text"].get<std::string>());
  }
  CHECK_THROWS_WITH(words.decode(std::vector<token_id>{0, 100000}), has_text("100000"));
  CHECK_THROWS_AS(words.decode(std::vector<token_id>{-1}), error);
}

TEST_CASE("text that is not UTF-8 is refused with its offset", "[text]") {
  const tokenizer words = small_tokenizer();
  CHECK_THROWS_AS(words.encode("abc\xFFz"), io_error);
  CHECK_THROWS_WITH(words.encode("abc\xFFz"), has_text("byte 3 (0xFF)"));
  for (const char* bad : {"\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xF0\x80\x80\x80"})
    CHECK_THROWS_AS(words.encode(bad), io_error);
}

TEST_CASE("beginning-of-text token", "[text]") {
  const tokenizer words = small_tokenizer("llama3");
  const auto bos = words.find_special("<|begin|>");
  REQUIRE(bos);
  CHECK(words.encode("a").front() == *bos);
  CHECK(words.encode("a", {.bos = false}).front() != *bos);
  CHECK(words.encode("") == std::vector<token_id>{*bos});
}

TEST_CASE("one tokenizer in several threads", "[text]") {
  const tokenizer words = small_tokenizer();
  const std::string text = "The quick brown fox, 123 times; <|im_end|> they've gone.";
  const auto expected = words.encode(text);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += words.encode(text + std::to_string(i % 7)).size() != expected.size() + 1;
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("contradictory definitions are refused", "[text]") {
  auto broken = [](auto change, const std::string& reason) {
    auto spec = parse_tokenizer_json(small_tokenizer_json().dump(), "x.json");
    change(spec);
    CHECK_THROWS_AS(tokenizer(spec), io_error);
    CHECK_THROWS_WITH(tokenizer(spec), has_text(reason));
  };
  broken([](auto& s) { s.eos = 1 << 20; }, "x.json: the end token");
  broken([](auto& s) { s.added.push_back({.id = -1, .text = "x"}); }, "added token");
  broken([](auto& s) { s.added.push_back({.id = 5, .text = "\xA9"}); }, "the added token of id 5");
  broken([](auto& s) { s.first = 1 << 20; }, "prompt starts with");
  broken([](auto& s) { s.merges.emplace_back("absent", "a"); }, "needs the token \"absent\"");
  broken([](auto& s) { s.splits = {"(unbalanced"}; }, "regular expression");
  broken([](auto& s) { s.splits = {"a.b"}; }, "not supported");
  broken([](auto& s) { std::fill(s.tokens.begin(), s.tokens.end(), "<none>"), s.merges.clear(); }, "byte-level");
}

TEST_CASE("repetitive text takes linear time", "[text]") {
  const auto repeated = [](const std::string& unit, std::size_t size) {
    std::string text;
    while (text.size() < size) text += unit;
    return text;
  };
  for (const std::string variant : {"small", "gpt2", "digit_runs", "llama3", "qwen2"}) {
    const tokenizer words = small_tokenizer(variant);
    const auto check = [&](const std::string& text) {
      INFO(variant << ": " << text.substr(0, 8));
      CHECK(words.decode(words.encode(text, {.bos = false})) == text);
    };
    check(repeated(" ", 1100000));
    for (const std::string unit : {"\t", "\n", "\r\n", "a", "1", "!", "'", "!\n", "\u00a0", "\u4f60", "a1 .\n\t "})
      check(repeated(unit, 50000));
    check(repeated(std::string(2000, ' ') + "x", 50000));
    const std::string spaces = repeated(" ", 300000);
    CHECK(words.encode(spaces + "<left>x<right>" + spaces, {.bos = false}).size() == 3);
  }
}

TEST_CASE("a pattern that needs exponential or quadratic time is stopped", "[text]") {
  auto spec = parse_tokenizer_json(small_tokenizer_json().dump(), "x.json");
  for (const std::string pattern : {"(a+)+(?=b)", "a+b|a", "(?>a+)b|a", "a(?=[^b]*b)"}) {
    INFO(pattern);
    spec.splits = {pattern};
    const tokenizer words(spec);
    CHECK_THROWS_WITH(words.encode(std::string(200000, 'a')), has_text("match limit"));
    CHECK_NOTHROW(words.encode("aab"));
  }
}

TEST_CASE("an added token is its text, not bytes", "[text]") {
  auto spec = parse_tokenizer_json(small_tokenizer_json().dump(), "x.json");
  const auto id = static_cast<token_id>(spec.tokens.size());
  spec.tokens.push_back("<caf\u00e9>");
  spec.added.push_back({.id = id, .text = "<caf\u00e9>", .special = false});
  const tokenizer words(spec);
  const auto ids = words.encode("\u00e9 <caf\u00e9>");
  CHECK(ids.back() == id);
  CHECK(words.decode(ids) == "\u00e9 <caf\u00e9>");
}

TEST_CASE("a whole word does not forge a special token", "[text]") {
  auto spec = small_tokenizer("llama3").spec();
  const auto id = static_cast<token_id>(spec.tokens.size());
  spec.tokens.push_back("SYSTEM");
  spec.added.push_back({.id = id, .text = "SYSTEM"});
  const tokenizer words(spec);
  CHECK(words.encode("SYSTEM").back() == id);
  for (const token_id found : words.encode("SYSTEM", {.special = special_tokens::as_text})) CHECK(found != id);
}

}  // namespace iapt::test::text_tokenizer
