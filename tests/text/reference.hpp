// SPDX-License-Identifier: Apache-2.0
// The stored references of tests/data/tokens (tests/reference/make_tokens.py writes them) and tokenizers to compare.
#pragma once
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "iapt/io/gguf.hpp"
#include "iapt/text/tokenizer.hpp"
#include "iapt/text/tokenizer_gguf.hpp"
#include "iapt/text/tokenizer_json.hpp"
#include "support/catch.hpp"
#include "support/model.hpp"

namespace iapt::test {

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) FAIL("cannot read " << path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline const nlohmann::json& token_cases() {
  static const auto cases = nlohmann::json::parse(read_file(test_data("tokens/cases.json")));
  return cases;
}

inline nlohmann::json small_tokenizer_json() {
  return nlohmann::json::parse(read_file(test_data("tokens/small_tokenizer.json")));
}

// The small tokenizer, changed as the reference was: drop_bytes and merge_patch there.
inline tokenizer small_tokenizer(const std::string& variant = "small") {
  auto document = small_tokenizer_json();
  if (variant == "unknown") {
    for (const std::string byte : {"é", "ÿ"}) {
      auto& vocabulary = document["model"]["vocab"];
      vocabulary["unused " + byte] = vocabulary[byte];
      vocabulary.erase(byte);
      auto kept = nlohmann::json::array();
      for (const auto& merge : document["model"]["merges"])
        if (merge.dump().find(byte) == std::string::npos) kept.push_back(merge);
      document["model"]["merges"] = kept;
    }
  }
  document.merge_patch(token_cases()["variants"][variant]["patch"]);
  return tokenizer(parse_tokenizer_json(document.dump(), "small_tokenizer.json (" + variant + ")"));
}

inline tokenizer smollm2(const std::string& path) { return tokenizer(make_tokenizer_spec(gguf_file::open(path))); }

// FNV-1a with 32-bit units: each id, and 2^32 - 1 after each text.
struct id_hash {
  std::uint64_t value = 0xCBF29CE484222325u;
  std::uint64_t texts = 0, tokens = 0;
  void add(const std::vector<token_id>& ids) {
    for (const token_id id : ids) unit(static_cast<std::uint32_t>(id));
    unit(0xFFFFFFFFu);
    ++texts;
    tokens += ids.size();
  }
  void unit(std::uint32_t u) { value = (value ^ u) * 0x100000001B3u; }
  std::string text() const {
    char out[17];
    std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(value));
    return out;
  }
};

inline std::string hash_of(const std::vector<token_id>& ids) {
  id_hash hash;
  hash.add(ids);
  return hash.text();
}

}  // namespace iapt::test
