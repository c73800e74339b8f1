// SPDX-License-Identifier: Apache-2.0
// The small SentencePiece vocabulary of tests/data/tokens, in both formats.
#pragma once
#include <string>

#include "text/reference.hpp"

namespace iapt::test::sentencepiece_model {

// tests/reference/make_sentencepiece.py writes it.
inline const nlohmann::json& stored() {
  static const auto cases = nlohmann::json::parse(read_file(test_data("tokens/sentencepiece.json")));
  return cases;
}

inline nlohmann::json family(const std::string& name) {
  nlohmann::json document = stored()["document"];
  document.merge_patch(stored()["tokenizers"][name]["patch"]);
  return document;
}

inline tokenizer words_of(const nlohmann::json& document) {
  return tokenizer(parse_tokenizer_json(document.dump(), "t.json"));
}

inline gguf_tokenizer small_gguf(bool prefix = true) {
  gguf_tokenizer gguf{.source = "m.gguf",
                      .model = "llama",
                      .tokens = stored()["pieces"],
                      .token_types = stored()["types"],
                      .scores = stored()["scores"]};
  if (!prefix) gguf.add_space_prefix = false;
  return gguf;
}

inline token_id id_of(const std::string& piece) { return stored()["document"]["model"]["vocab"].at(piece); }

}  // namespace iapt::test::sentencepiece_model
