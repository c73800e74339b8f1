// SPDX-License-Identifier: Apache-2.0
// Which class of transformers reads a folder's tokenizer, and what it adds to the files.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/text/given_token.hpp"

namespace iapt {

/// The classes that differ for byte-level tokenizers.
enum class tokenizer_class {
  general,  ///< uses tokenizer.json unchanged
  gpt2,     ///< GPT2Tokenizer: uses vocabulary and merges, and creates the rest itself
  qwen2     ///< Qwen2Tokenizer: the same
};

/// The class for a folder. Some model families have their own; for others the files name it.
/// @param config tokenizer_config.json
/// @param model config.json
/// @par Source AutoTokenizer of transformers 5.24, without mistral-common
inline tokenizer_class tokenizer_class_of(const json_object_file& config, const json_object_file& model) {
  const auto text = [](const json_object_file& file, std::string_view key) {
    const nlohmann::json* value = file.find(key);
    return value && value->is_string() ? value->get<std::string>() : std::string();
  };
  const std::string family = text(model, "model_type");
  if (family == "qwen2") return tokenizer_class::qwen2;
  if (family == "mistral") return tokenizer_class::general;
  std::string name = text(config, "tokenizer_class");
  if (name.empty()) name = text(model, "tokenizer_class");
  if (name == "Qwen2Tokenizer" || name == "Qwen2TokenizerFast" || (name.empty() && family == "qwen3"))
    return tokenizer_class::qwen2;
  if (name == "GPT2Tokenizer" || name == "GPT2TokenizerFast" || (name.empty() && family == "gpt2"))
    return tokenizer_class::gpt2;
  return tokenizer_class::general;
}

/// The token names that a class uses if the files do not have them.
inline std::vector<std::pair<std::string_view, std::string_view>> default_token_names(tokenizer_class kind) {
  constexpr std::string_view end = "<|endoftext|>";
  switch (kind) {
    case tokenizer_class::gpt2:
      return {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}};
    case tokenizer_class::qwen2:
      return {{"eos_token", end}, {"unk_token", end}, {"pad_token", end}};
    case tokenizer_class::general:
      break;
  }
  return {};
}

}  // namespace iapt
