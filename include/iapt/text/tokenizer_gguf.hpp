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
#include <unordered_map>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/sentencepiece.hpp"
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
  std::vector<float> scores = {};                 ///< tokenizer.ggml.scores
  std::optional<std::int64_t> bos_token_id = {};  ///< tokenizer.ggml.bos_token_id
  std::optional<std::int64_t> eos_token_id = {};  ///< tokenizer.ggml.eos_token_id
  std::optional<std::int64_t> eot_token_id = {};  ///< tokenizer.ggml.eot_token_id, the end of a turn
  std::optional<std::int64_t> eom_token_id = {};  ///< tokenizer.ggml.eom_token_id, the end of a message
  std::optional<bool> add_bos_token = {};         ///< tokenizer.ggml.add_bos_token
  std::optional<bool> add_space_prefix = {};      ///< tokenizer.ggml.add_space_prefix
  std::string model_name = {};                    ///< general.name
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

/// Converts GGUF metadata to a `tokenizer_spec`. For one file; use it through `make_tokenizer_spec`.
class gguf_tokenizer_reader {
 public:
  /// Reads `gguf`. `warn` is as in `make_tokenizer_spec`.
  gguf_tokenizer_reader(gguf_tokenizer gguf, const std::function<void(const std::string&)>& warn)
      : gguf_(std::move(gguf)), warn_(warn) {
    spec_.source = gguf_.source;
  }

  /// The definition. @throws io_error
  tokenizer_spec read() {
    const bool byte_level = gguf_.model == "gpt2";
    if (!byte_level && gguf_.model != "llama")
      refuse("tokenizer.ggml.model is \"" + gguf_.model +
             "\", but only \"gpt2\" (byte-level BPE) and \"llama\" (SentencePiece BPE) are supported; use a model of "
             "the SmolLM2, Llama, Mistral, Phi-3, Gemma, Qwen2 or GPT-2 family");
    // Llama 3's files do not have the key although the model needs the token; neither do files of SentencePiece models.
    bool add_bos = true;
    if (byte_level) add_bos = read_pre_tokenizer();
    read_tokens();
    if (byte_level) {
      read_merges();
    } else {
      read_sentencepiece();
    }
    read_ids();
    if (gguf_.add_bos_token.value_or(add_bos)) {
      if (!spec_.bos) refuse("tokenizer.ggml.bos_token_id is missing, but a prompt should begin with this token");
      spec_.first = spec_.bos;
    }
    spec_.chat_template = std::move(gguf_.chat_template);
    return std::move(spec_);
  }

 private:
  // llama.cpp's numbers for kinds of tokens
  static constexpr std::int32_t unknown = 2, control = 3, user_defined = 4, byte = 6;

  [[noreturn]] void refuse(const std::string& what) const { throw io_error(gguf_.source + ": " + what); }

  // Returns whether to add the beginning-of-text token if the file does not say.
  bool read_pre_tokenizer() {
    if (gguf_.pre.empty()) {
      gguf_.pre = "default";
      if (warn_)
        warn_(gguf_.source +
              ": tokenizer.ggml.pre is missing; \"default\" is taken, which may cut words otherwise than the model has "
              "learnt. Write the right name into the file, or convert the model anew");
    }
    const auto& known = gguf_pre_tokenizers();
    const auto pre = std::find_if(known.begin(), known.end(), [&](const gguf_pre_tokenizer& p) {
      return std::find(p.names.begin(), p.names.end(), gguf_.pre) != p.names.end();
    });
    if (pre == known.end()) {
      std::string names;
      for (const auto& p : known)
        for (const std::string_view name : p.names) names += (names.empty() ? "" : ", ") + std::string(name);
      refuse("tokenizer.ggml.pre is \"" + gguf_.pre +
             "\"; load the model's Hugging Face folder with its tokenizer.json instead, or write the right name into "
             "the file. Known are " +
             names);
    }
    spec_.splits = pre->splits;
    spec_.nfc = pre->nfc;
    spec_.ignore_merges = pre->ignore_merges;
    return pre->add_bos;
  }

  void read_tokens() {
    if (gguf_.tokens.empty()) refuse("tokenizer.ggml.tokens is missing or empty; the file has no vocabulary");
    require_size("token_type", gguf_.token_types.size());
    spec_.tokens = std::move(gguf_.tokens);
    for (std::size_t id = 0; id < gguf_.token_types.size(); ++id) {
      const std::int32_t type = gguf_.token_types[id];
      if (type == unknown || type == control || type == user_defined)
        spec_.added.push_back(
            {.id = static_cast<token_id>(id), .text = spec_.tokens[id], .special = type != user_defined});
    }
  }

  // Refuses a list of another size than the vocabulary's; it may be missing.
  void require_size(const std::string& key, std::size_t size) const {
    const std::size_t tokens = gguf_.tokens.empty() ? spec_.tokens.size() : gguf_.tokens.size();
    if (size != 0 && size != tokens)
      refuse("tokenizer.ggml." + key + " has " + std::to_string(size) + " entries for " + std::to_string(tokens) +
             " tokens; the file is damaged");
  }

  void read_merges() {
    if (gguf_.merges.empty())
      refuse("tokenizer.ggml.merges is missing or empty, so words cannot be made of bytes; convert the model anew");
    spec_.merges.reserve(gguf_.merges.size());
    for (std::size_t i = 0; i < gguf_.merges.size(); ++i) {
      const std::string& merge = gguf_.merges[i];
      const std::size_t space = merge.find(' ');
      if (space == std::string::npos || merge.find(' ', space + 1) != std::string::npos)
        refuse("merge " + std::to_string(i) + " (\"" + merge + "\") is not two tokens with a space between");
      spec_.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
  }

  void read_sentencepiece() {
    if (gguf_.scores.empty())
      refuse(
          "tokenizer.ggml.scores is missing or empty, so the order of the merges is not known; convert the model anew");
    require_size("scores", gguf_.scores.size());
    std::unordered_map<std::string_view, std::size_t> ids;
    for (std::size_t id = 0; id < spec_.tokens.size(); ++id) {
      const std::string& token = spec_.tokens[id];
      const auto [place, is_new] = ids.emplace(token, id);
      if (!is_new && !token.empty())
        refuse("the tokens " + std::to_string(place->second) + " and " + std::to_string(id) + " are both \"" + token +
               "\", so it is not known which one a text has; the file is damaged");
      if (!gguf_.token_types.empty() && (gguf_.token_types[id] == byte) != sentencepiece::byte_of(token).has_value())
        refuse("token " + std::to_string(id) + " (\"" + token + "\") is of type " +
               std::to_string(gguf_.token_types[id]) +
               ", but tokens from <0x00> to <0xFF>, and no others, are of type 6 (byte); the file is damaged");
    }
    const bool prefix = gguf_.add_space_prefix.value_or(true);
    spec_.sentencepiece = {.prefix = prefix ? space_prefix::each_piece : space_prefix::none,
                           .strips_space = prefix,
                           .scores = std::move(gguf_.scores)};
    // llama.cpp's numbers for files that do not have the keys
    if (!gguf_.bos_token_id) gguf_.bos_token_id = 1;
    if (!gguf_.eos_token_id) gguf_.eos_token_id = 2;
    if (!is_phi3(gguf_.model_name)) return;
    for (added_token& token : spec_.added)
      token.rstrip = token.text != "<unk>" && token.text != "<s>" && token.text != "<|endoftext|>";
  }

  // Phi-3's control tokens include the white space behind them. A GGUF file has no key for that, so llama.cpp takes the
  // name of the model.
  static bool is_phi3(std::string name) {
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
  }

  void read_ids() {
    auto id = [&](std::optional<std::int64_t> value, const char* key) -> std::optional<token_id> {
      if (!value) return {};
      if (*value < 0 || static_cast<std::uint64_t>(*value) >= spec_.tokens.size())
        refuse(std::string(key) + " is " + std::to_string(*value) + ", but the vocabulary has " +
               std::to_string(spec_.tokens.size()) + " tokens; the file is damaged");
      return static_cast<token_id>(*value);
    };
    spec_.bos = id(gguf_.bos_token_id, "tokenizer.ggml.bos_token_id");
    spec_.eos = id(gguf_.eos_token_id, "tokenizer.ggml.eos_token_id");
    for (const auto end :
         {id(gguf_.eot_token_id, "tokenizer.ggml.eot_token_id"), id(gguf_.eom_token_id, "tokenizer.ggml.eom_token_id")})
      if (end) spec_.end_of_generation.push_back(*end);
  }

  gguf_tokenizer gguf_;
  const std::function<void(const std::string&)>& warn_;
  tokenizer_spec spec_;
};

/// Converts GGUF metadata to a tokenizer's definition. `tokenizer.ggml.unknown_token_id` is not read: byte-level
/// tokenizers name one in their configuration but leave out the bytes that are not in the vocabulary, and SentencePiece
/// vocabularies have tokens for all bytes.
/// @param gguf the metadata
/// @param warn called if the file does not say how words are split; then "default" is used, as in llama.cpp
/// @throws io_error for a tokenizer of another kind and for contradictory metadata
inline tokenizer_spec make_tokenizer_spec(gguf_tokenizer gguf,
                                          const std::function<void(const std::string&)>& warn = {}) {
  return gguf_tokenizer_reader(std::move(gguf), warn).read();
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
  otherwise_empty(gguf.scores, "tokenizer.ggml.scores");
  optional(gguf.bos_token_id, "tokenizer.ggml.bos_token_id");
  optional(gguf.eos_token_id, "tokenizer.ggml.eos_token_id");
  optional(gguf.eot_token_id, "tokenizer.ggml.eot_token_id");
  optional(gguf.eom_token_id, "tokenizer.ggml.eom_token_id");
  optional(gguf.add_bos_token, "tokenizer.ggml.add_bos_token");
  optional(gguf.add_space_prefix, "tokenizer.ggml.add_space_prefix");
  otherwise_empty(gguf.model_name, "general.name");
  otherwise_empty(gguf.chat_template, "tokenizer.chat_template");
  return make_tokenizer_spec(std::move(gguf), warn);
}

}  // namespace iapt
