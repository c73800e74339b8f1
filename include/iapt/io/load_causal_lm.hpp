// SPDX-License-Identifier: Apache-2.0
// A language model from a `.gguf` file or a Hugging Face folder: configuration, weights, tokenizer, chat template.
#pragma once
#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/chat/chat_template.hpp"
#include "iapt/io/model_config.hpp"
#include "iapt/io/model_weights.hpp"
#include "iapt/model/fingerprint.hpp"
#include "iapt/text/tokenizer.hpp"
#include "iapt/text/tokenizer_config.hpp"
#include "iapt/text/tokenizer_gguf.hpp"
#include "iapt/text/tokenizer_json.hpp"

namespace iapt {

/// A causal language model with its tokenizer and chat template.
template <class T, class Backend>
class language_model : public causal_lm<T, Backend> {
 public:
  /// Combines a base model and its tokenizer.
  /// @param place file or folder, for messages
  /// @param warn called with problems of its adapters that are no errors; see load_options
  language_model(causal_lm<T, Backend> lm, iapt::tokenizer words, std::string place,
                 std::function<void(const std::string&)> warn = {})
      : causal_lm<T, Backend>(std::move(lm)),
        words_(std::move(words)),
        place_(std::move(place)),
        warn_(std::move(warn)) {
    try {
      chat_.emplace(words_.spec().chat_template, place_);
    } catch (const io_error& failure) { no_chat_ = failure.what(); }  // only chats need one
  }

  /// The tokenizer.
  const iapt::tokenizer& tokenizer() const { return words_; }
  /// File or folder of the model, for messages.
  const std::string& place() const { return place_; }
  /// Reports a problem that is no error to the caller that loaded the model.
  void warn(const std::string& text) const {
    if (warn_) warn_(text);
  }
  /// The model's chat template.
  /// @throws io_error if it has none, or one that cannot be read
  const chat_template& chat() const {
    if (!chat_) throw io_error(no_chat_);
    return *chat_;
  }
  /// The tokens that end an answer.
  /// @throws io_error if the model's files name none
  std::vector<token_id> end_tokens() const {
    const auto ends = words_.end_of_generation();
    if (ends.empty()) throw io_error(place_ + ": the model names no token that ends an answer");
    return {ends.begin(), ends.end()};
  }
  /// Tells base models apart; see iapt::fingerprint.
  std::string fingerprint(fingerprint_kind kind = fingerprint_kind::every_tensor) const {
    return iapt::fingerprint<T, Backend>(*this, kind);
  }

 private:
  iapt::tokenizer words_;
  std::string place_;
  std::function<void(const std::string&)> warn_;
  std::optional<chat_template> chat_;
  std::string no_chat_;  // why there is none
};

/// Loads only the base model of a `.gguf` file or of a folder with config.json and safetensors.
/// @throws io_error if anything is missing, damaged or not supported, with the file and the reason
template <class T, class Backend>
causal_lm<T, Backend> load_backbone(const std::filesystem::path& path, Backend& backend, load_options options = {}) {
  if (std::filesystem::is_directory(path)) {
    const auto config = path / "config.json";
    const transformer_config c = read_config(config_json::parse(read_text_file(config), config.string()));
    const weights stored = weights::open(path);
    return weight_loader<T, Backend>(backend, stored, {.gguf = false}, c, options).load();
  }
  const gguf_file file = gguf_file::open(path);
  transformer_config c = read_config(file);
  if (const stored_tensor* divisors = file.tensors().find("rope_freqs.weight")) {
    if (divisors->size() != c.heads.head_size / 2)
      refuse_tensor(*divisors,
                    "has shape " + to_text(divisors->shape) + " for heads of " + std::to_string(c.heads.head_size));
    c.rope.divisors.resize(divisors->size());
    read_into<double>(*divisors, c.rope.divisors);
  }
  const weights stored(file);
  const model_family& family = family_of(&model_family::architecture, c.family, file.name(), "general.architecture");
  const weight_names names{.gguf = true, .interleaved_pairs = family.interleaved_pairs};
  return weight_loader<T, Backend>(backend, stored, names, c, options).load();
}

/// Adds the tokens that end an answer by a folder's configurations. generation_config.json comes first. config.json may
/// be older: if the first names ids, an id of config.json that is plain text is ignored.
/// @throws io_error if a file is damaged
inline void read_end_of_generation(tokenizer_spec& spec, const std::filesystem::path& folder) {
  const auto ids_of = [&](const char* name) -> std::vector<token_id> {
    const auto path = folder / name;
    if (!std::filesystem::exists(path)) return {};
    return read_eos_token_ids(read_text_file(path), path.string());
  };
  const auto is_text = [&](token_id id) {
    return std::none_of(spec.added.begin(), spec.added.end(), [&](const added_token& t) { return t.id == id; });
  };
  std::vector<token_id>& ends = spec.end_of_generation;
  ends = ids_of("generation_config.json");
  const bool named = !ends.empty();
  for (const token_id id : ids_of("config.json"))
    if (!(named && is_text(id))) ends.push_back(id);
  if (!spec.eos && !ends.empty()) spec.eos = ends.front();
}

/// Reads the files beside a folder's tokenizer.json.
/// @throws io_error if one cannot be read
inline tokenizer_side_files read_tokenizer_side_files(const std::filesystem::path& folder) {
  const auto text_of = [&](const char* name) -> std::optional<std::string> {
    if (!std::filesystem::exists(folder / name)) return {};
    return read_text_file(folder / name);
  };
  tokenizer_side_files files{.folder = folder.string(),
                             .model = text_of("config.json"),
                             .config = text_of("tokenizer_config.json"),
                             .special_tokens_map = text_of("special_tokens_map.json"),
                             .added_tokens = text_of("added_tokens.json")};
  if (auto jinja = text_of("chat_template.jinja")) files.templates["default"] = std::move(*jinja);
  if (const auto more = folder / "additional_chat_templates"; std::filesystem::is_directory(more))
    for (const auto& entry : std::filesystem::directory_iterator(more))
      if (entry.path().extension() == ".jinja")
        files.templates[entry.path().stem().string()] = read_text_file(entry.path());
  return files;
}

/// Reads the definition of a model's tokenizer.
/// @param path the model
/// @param warn called with problems of a file that are no errors
/// @throws io_error if it is missing or damaged, or of a kind that would not be reproduced exactly
inline tokenizer_spec load_tokenizer_spec(const std::filesystem::path& path,
                                          const std::function<void(const std::string&)>& warn = {}) {
  if (!std::filesystem::is_directory(path)) return make_tokenizer_spec(gguf_file::open(path), warn);
  const auto file = path / "tokenizer.json";
  if (!std::filesystem::exists(file) && std::filesystem::exists(path / "tokenizer.model"))
    throw io_error(path.string() + ": has tokenizer.model but no tokenizer.json, which this library reads; let " +
                   "transformers write it: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)");
  tokenizer_spec spec = parse_tokenizer_json(read_text_file(file), file.string());
  read_tokenizer_config(spec, read_tokenizer_side_files(path));
  read_end_of_generation(spec, path);
  return spec;
}

/// Loads a language model from a `.gguf` file, or from a folder with config.json, safetensors, tokenizer.json and
/// tokenizer_config.json.
/// @throws io_error if anything is missing, damaged or not supported, with the file and the reason
template <class T, class Backend>
language_model<T, Backend> load_causal_lm(const std::filesystem::path& path, Backend& backend,
                                          load_options options = {}) {
  if (!std::filesystem::exists(path))
    throw io_error(path.string() +
                   ": there is no such file or folder; a model is a .gguf file or a Hugging Face folder");
  auto lm = load_backbone<T>(path, backend, options);
  tokenizer_spec words = load_tokenizer_spec(path, options.warn);
  if (index_t(words.tokens.size()) > lm.config.vocabulary)
    throw io_error(path.string() + ": the tokenizer has " + std::to_string(words.tokens.size()) +
                   " tokens, the model only " + std::to_string(lm.config.vocabulary));
  std::erase_if(words.end_of_generation, [&](token_id id) { return id >= lm.config.vocabulary; });  // never generated
  words.tokens.resize(std::size_t(lm.config.vocabulary));  // rows that pad the vocabulary have no text
  return {std::move(lm), tokenizer(std::move(words)), path.string(), options.warn};
}

}  // namespace iapt
