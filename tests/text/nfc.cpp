// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/nfc.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "text/reference.hpp"

namespace iapt::test::text_nfc {
namespace {

// tests/reference/make_nfc.py writes it.
const nlohmann::json& stored() {
  static const auto file = nlohmann::json::parse(read_file(test_data("tokens/nfc.json")));
  return file;
}

void add_composed(id_hash& hash, const std::string& text) {
  for (const char byte : to_nfc(text) + "\n") hash.unit(static_cast<unsigned char>(byte));
}

void append(std::string& text, std::initializer_list<char32_t> characters) {
  for (const char32_t c : characters) utf8::append(text, c);
}

}  // namespace

TEST_CASE("every character composes as in the reference", "[text]") {
  id_hash hash;
  for (char32_t start = 0; start < 0x40000; start += 256) {  // no character is assigned from there on that composes
    if (start >= 0xD800 && start < 0xE000) continue;
    std::string text;
    for (char32_t c = start; c < start + 256; ++c) append(text, {c, 'a', c, 0x334, 0x301, 'e', 0x345, c, 0x301});
    add_composed(hash, text);
  }
  CHECK(hash.text() == stored()["characters"].get<std::string>());
}

TEST_CASE("random sequences of letters and marks compose as in the reference", "[text]") {
  std::uint64_t state = 1;
  const auto draw = [&](std::uint64_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<char32_t>((state >> 33) % bound);
  };
  const auto pools = stored()["pools"].get<std::vector<std::pair<char32_t, char32_t>>>();
  id_hash hash;
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    for (auto left = 1 + draw(16); left > 0; --left) {
      const auto [first, last] = pools[draw(pools.size())];
      append(text, {first + draw(last - first + 1)});
    }
    add_composed(hash, text);
  }
  CHECK(hash.text() == stored()["sequences"].get<std::string>());
}

TEST_CASE("ids of text that is to be composed", "[text]") {
  auto spec = small_tokenizer("qwen2").spec();
  for (const auto& text : stored()["normalized tokens"]) {
    spec.added.push_back(
        {.id = static_cast<token_id>(spec.tokens.size()), .text = text, .special = false, .normalized = true});
    spec.tokens.push_back(text);
  }
  const tokenizer words(spec);
  for (const auto& c : stored()["ids"]) {
    INFO(c["text"]);
    CHECK(words.encode(c["text"].get<std::string>()) == c["ids"].get<std::vector<token_id>>());
  }
}

TEST_CASE("a long run of marks is put in order, each class in the order of the text", "[text]") {
  std::string above, below, overlay;
  for (int i = 0; i < 1000; ++i) append(above, {char32_t(i % 2 ? 0x302 : 0x306)});
  for (int i = 0; i < 1000; ++i) append(below, {char32_t(i % 2 ? 0x324 : 0x32D)});
  for (int i = 0; i < 1000; ++i) append(overlay, {char32_t(i % 2 ? 0x334 : 0x335)});
  CHECK(to_nfc("x" + above + below + overlay) == "x" + overlay + below + above);
}

}  // namespace iapt::test::text_nfc
