// SPDX-License-Identifier: Apache-2.0
// Reads the tokenizer of a GGUF file's metadata.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// A reader of GGUF metadata, such as `gguf_file`. A concept instead of an include, so that text/ does not need io/.
template <class File>
concept gguf_metadata = requires(const File& file, const char* key) {
  file.name();
  { file.find(key) == nullptr } -> std::convertible_to<bool>;
  { file.template get<std::string>(key) } -> std::convertible_to<std::string>;
  { file.template get_or<std::string>(key, std::string()) } -> std::convertible_to<std::string>;
};

/// The GGUF metadata of a tokenizer. Each member names its key. If the file does not have the key, the member keeps its
/// default.
struct gguf_tokenizer {
  std::string source = {};                        ///< the file's path, for messages
  std::string model = {};                         ///< tokenizer.ggml.model
  std::string pre = {};                           ///< tokenizer.ggml.pre
  std::vector<std::string> tokens = {};           ///< tokenizer.ggml.tokens
  std::vector<std::int32_t> token_types = {};     ///< tokenizer.ggml.token_type
  std::vector<std::string> merges = {};           ///< tokenizer.ggml.merges, "left right"
  std::optional<std::int64_t> bos_token_id = {};  ///< tokenizer.ggml.bos_token_id
  std::optional<std::int64_t> eos_token_id = {};  ///< tokenizer.ggml.eos_token_id
  std::optional<std::int64_t> eot_token_id = {};  ///< tokenizer.ggml.eot_token_id, the end of a turn
  std::optional<std::int64_t> eom_token_id = {};  ///< tokenizer.ggml.eom_token_id, the end of a message
  std::optional<bool> add_bos_token = {};         ///< tokenizer.ggml.add_bos_token
  std::string chat_template = {};                 ///< tokenizer.chat_template
};

/// The meaning of a name in tokenizer.ggml.pre.
struct gguf_pre_tokenizer {
  std::vector<std::string_view> names;  ///< all names with this meaning
  std::vector<std::string> splits;      ///< as in `tokenizer_spec`
  bool nfc = false;                     ///< as in `tokenizer_spec`
  bool ignore_merges = false;           ///< as in `tokenizer_spec`
  bool add_bos = false;                 ///< whether to add the beginning-of-text token if the file does not say
};

/// The known names in tokenizer.ggml.pre.
/// @par Source llama.cpp's llama-vocab.cpp; NFC, which it leaves out: the tokenizer.json of the models
inline const std::vector<gguf_pre_tokenizer>& gguf_pre_tokenizers() {
  using namespace split_patterns;
  static const std::vector<gguf_pre_tokenizer> table = {
      {.names = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"},
       .splits = {digits(), std::string(gpt2)}},
      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"},
       .splits = {std::string(llama3)},
       .ignore_merges = true,
       .add_bos = true},
      {.names = {"dbrx", "smaug-bpe", "chatglm-bpe"}, .splits = {std::string(llama3)}},
      {.names = {"glm4", "glm5"}, .splits = {std::string(llama3)}, .ignore_merges = true},
      {.names = {"qwen2", "deepseek-r1-qwen"}, .splits = {std::string(qwen2)}, .nfc = true},
      {.names = {"kormo", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"}, .splits = {std::string(qwen2)}},
      {.names = {"gpt-2", "phi-2", "olmo", "mpt", "exaone4", "jais", "trillion", "gigachat", "modern-bert", "mellum",
                 "a.x-4.0", "granite-docling"},
       .splits = {std::string(gpt2)}},
      {.names = {"default"}, .splits = {R"([\p{P}\$\+<=>\^~\|]+)", std::string(gpt2), R"(\p{N}+)", "[0-9][0-9][0-9]"}},
  };
  return table;
}

/// Converts GGUF metadata to a tokenizer's definition. `tokenizer.ggml.unknown_token_id` is not read: byte-level
/// tokenizers name one in their configuration but leave out the bytes that are not in the vocabulary.
/// @param gguf the metadata
/// @param warn called if the file does not say how words are split; then "default" is used, as in llama.cpp
/// @throws io_error for a tokenizer of another kind and for contradictory metadata
inline tokenizer_spec make_tokenizer_spec(gguf_tokenizer gguf,
                                          const std::function<void(const std::string&)>& warn = {}) {
  auto refuse = [&](const std::string& what) -> io_error { return io_error(gguf.source + ": " + what); };
  if (gguf.model != "gpt2")
    throw refuse("tokenizer.ggml.model is \"" + gguf.model +
                 "\", but only \"gpt2\" (byte-level BPE) is supported; use a model of the SmolLM2, Llama 3, Qwen2 or "
                 "GPT-2 family");
  if (gguf.pre.empty()) {
    gguf.pre = "default";
    if (warn)
      warn(gguf.source +
           ": tokenizer.ggml.pre is missing; \"default\" is taken, which may cut words otherwise than the model has "
           "learnt. Write the right name into the file, or convert the model anew");
  }
  tokenizer_spec spec;
  spec.source = gguf.source;
  const auto& known = gguf_pre_tokenizers();
  const auto pre = std::find_if(known.begin(), known.end(), [&](const gguf_pre_tokenizer& p) {
    return std::find(p.names.begin(), p.names.end(), gguf.pre) != p.names.end();
  });
  if (pre == known.end()) {
    std::string names;
    for (const auto& p : known)
      for (const std::string_view name : p.names) names += (names.empty() ? "" : ", ") + std::string(name);
    throw refuse("tokenizer.ggml.pre is \"" + gguf.pre +
                 "\"; load the model's Hugging Face folder with its tokenizer.json instead, or write the right name "
                 "into the file. Known are " +
                 names);
  }
  spec.splits = pre->splits;
  spec.nfc = pre->nfc;
  spec.ignore_merges = pre->ignore_merges;

  if (gguf.tokens.empty()) throw refuse("tokenizer.ggml.tokens is missing or empty; the file has no vocabulary");
  if (!gguf.token_types.empty() && gguf.token_types.size() != gguf.tokens.size())
    throw refuse("tokenizer.ggml.token_type has " + std::to_string(gguf.token_types.size()) + " entries for " +
                 std::to_string(gguf.tokens.size()) + " tokens; the file is damaged");
  spec.tokens = std::move(gguf.tokens);
  for (std::size_t id = 0; id < gguf.token_types.size(); ++id) {
    constexpr std::int32_t unknown = 2, control = 3, user_defined = 4;  // llama.cpp's numbers for kinds of tokens
    const std::int32_t type = gguf.token_types[id];
    if (type == unknown || type == control || type == user_defined)
      spec.added.push_back({.id = static_cast<token_id>(id), .text = spec.tokens[id], .special = type != user_defined});
  }

  if (gguf.merges.empty())
    throw refuse("tokenizer.ggml.merges is missing or empty, so words cannot be made of bytes; convert the model anew");
  spec.merges.reserve(gguf.merges.size());
  for (std::size_t i = 0; i < gguf.merges.size(); ++i) {
    const std::string& merge = gguf.merges[i];
    const std::size_t space = merge.find(' ');
    if (space == std::string::npos || merge.find(' ', space + 1) != std::string::npos)
      throw refuse("merge " + std::to_string(i) + " (\"" + merge + "\") is not two tokens with a space between");
    spec.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }

  auto id = [&](std::optional<std::int64_t> value, const char* key) -> std::optional<token_id> {
    if (!value) return {};
    if (*value < 0 || static_cast<std::uint64_t>(*value) >= spec.tokens.size())
      throw refuse(std::string(key) + " is " + std::to_string(*value) + ", but the vocabulary has " +
                   std::to_string(spec.tokens.size()) + " tokens; the file is damaged");
    return static_cast<token_id>(*value);
  };
  spec.bos = id(gguf.bos_token_id, "tokenizer.ggml.bos_token_id");
  spec.eos = id(gguf.eos_token_id, "tokenizer.ggml.eos_token_id");
  for (const auto end :
       {id(gguf.eot_token_id, "tokenizer.ggml.eot_token_id"), id(gguf.eom_token_id, "tokenizer.ggml.eom_token_id")})
    if (end) spec.end_of_generation.push_back(*end);
  // Llama 3's files do not have the key although the model needs the token.
  if (gguf.add_bos_token.value_or(pre->add_bos)) {
    if (!spec.bos) throw refuse("tokenizer.ggml.bos_token_id is missing, but a prompt should begin with this token");
    spec.first = spec.bos;
  }
  spec.chat_template = std::move(gguf.chat_template);
  return spec;
}

/// Reads the tokenizer's definition from a GGUF file.
/// @param file the file
/// @param warn as above
/// @throws io_error for metadata of the wrong kind, and as above
template <gguf_metadata File>
tokenizer_spec make_tokenizer_spec(const File& file, const std::function<void(const std::string&)>& warn = {}) {
  auto optional = [&]<class T>(std::optional<T>& into, const char* key) {
    if (file.find(key)) into = file.template get<T>(key);
  };
  auto otherwise_empty = [&]<class T>(T& into, const char* key) { into = file.template get_or<T>(key, T()); };
  gguf_tokenizer gguf;
  gguf.source = file.name();
  otherwise_empty(gguf.model, "tokenizer.ggml.model");
  otherwise_empty(gguf.pre, "tokenizer.ggml.pre");
  otherwise_empty(gguf.tokens, "tokenizer.ggml.tokens");
  otherwise_empty(gguf.token_types, "tokenizer.ggml.token_type");
  otherwise_empty(gguf.merges, "tokenizer.ggml.merges");
  optional(gguf.bos_token_id, "tokenizer.ggml.bos_token_id");
  optional(gguf.eos_token_id, "tokenizer.ggml.eos_token_id");
  optional(gguf.eot_token_id, "tokenizer.ggml.eot_token_id");
  optional(gguf.eom_token_id, "tokenizer.ggml.eom_token_id");
  optional(gguf.add_bos_token, "tokenizer.ggml.add_bos_token");
  otherwise_empty(gguf.chat_template, "tokenizer.chat_template");
  return make_tokenizer_spec(std::move(gguf), warn);
}

}  // namespace iapt
