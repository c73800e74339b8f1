// SPDX-License-Identifier: Apache-2.0
// The names of tokens in tokenizer_config.json and special_tokens_map.json.
#pragma once
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "iapt/text/given_token.hpp"

namespace iapt {

/// Names of tokens, and special tokens without a name. Read tokenizer_config.json first, then special_tokens_map.json.
/// @par Source transformers 5.24
class token_names {
 public:
  /// Reads tokenizer_config.json. @throws io_error
  void read_config(const json_object_file& file) {
    for (const std::string& key : file.keys) {
      const nlohmann::json& value = *file.find(key);
      if (is_standard(key)) {
        standard_.set(key, token(value, file, key, false));
      } else if (key.ends_with("_token") && value.is_string()) {
        own_.set(key, given_token(value, file, key, true));
      } else if (key.ends_with("_token") && value.is_object() && value.contains("__type")) {
        more_.set(key, given_token(value, file, key, false));
      }
    }
    // If the list is empty, the older name is used.
    const nlohmann::json *extra = file.find("extra_special_tokens"), *old = file.find("additional_special_tokens");
    if (old && (!extra || extra->empty())) {
      read_extra(*old, file, "additional_special_tokens", false);
    } else {
      if (extra) read_extra(*extra, file, "extra_special_tokens", false);
      if (old) old_extra_ = list(*old, file, "additional_special_tokens", false);
    }
    constexpr const char* specific = "model_specific_special_tokens";  // ignored if the file has names of its own
    if (const nlohmann::json* named = file.find(specific); named && !named->is_null() && own_.begin() == own_.end()) {
      if (!named->is_object())
        file.refuse("\"" + std::string(specific) + "\" should be an object with names of tokens");
      name_own(*named, file, specific, false);
    }
  }

  /// Reads special_tokens_map.json. @throws io_error
  void read_map(const json_object_file& file) {
    for (const std::string& key : file.keys) {
      const nlohmann::json& value = *file.find(key);
      if (is_standard(key)) {
        standard_.set(key, token(value, file, key, true));
      } else if (key.ends_with("_token") && (value.is_string() || value.is_object())) {
        more_.set(key, given_token(value, file, key, true));
      }
    }
    if (const nlohmann::json* extra = file.find("extra_special_tokens"))
      read_extra(*extra, file, "extra_special_tokens", true);
    if (const nlohmann::json* old = file.find("additional_special_tokens"))
      old_extra_ = list(*old, file, "additional_special_tokens", true);
  }

  /// The names with their tokens, the standard ones first.
  /// @param defaults tokens of names that the files do not have
  /// @param listed tokens by their text; standard names take their flags
  named_tokens names(const std::vector<std::pair<std::string_view, std::string_view>>& defaults,
                     const std::unordered_map<std::string, given_token>& listed) const {
    named_tokens all;
    for (const std::string_view name : standard_names) all.set(std::string(name), std::nullopt);
    for (const auto& [name, text] : defaults) all.set(std::string(name), given_token(text));
    for (const auto& [name, token] : standard_) {
      const auto found = token ? listed.find(token->text) : listed.end();
      all.set(name, found == listed.end() ? token : found->second);
    }
    for (const named_tokens* some : {&more_, &own_})
      for (const auto& [name, token] : *some) all.set(name, token);
    return all;
  }
  /// The special tokens without a name.
  const given_tokens& extra() const { return extra_ ? *extra_ : old_extra_; }
  /// The texts of the tokens in added_tokens.json that are special.
  std::unordered_set<std::string> special_texts() const {
    std::unordered_set<std::string> out;
    for (const auto& [name, token] : standard_)
      if (token && !token->is_typed) out.insert(token->text);
    for (const given_token& token : extra_.value_or(given_tokens()))
      if (!token.is_typed) out.insert(token.text);
    return out;
  }

 private:
  // New tokens get their ids in this order.
  static constexpr std::array<std::string_view, 7> standard_names{"bos_token", "eos_token", "unk_token", "sep_token",
                                                                  "pad_token", "cls_token", "mask_token"};
  static bool is_standard(const std::string& key) {
    return std::find(standard_names.begin(), standard_names.end(), key) != standard_names.end();
  }

  static std::optional<given_token> token(const nlohmann::json& value, const json_object_file& file,
                                          const std::string& key, bool is_map) {
    if (value.is_null()) return {};
    return given_token(value, file, key, is_map);
  }
  static void append(const nlohmann::json& values, const json_object_file& file, const std::string& key, bool is_map,
                     given_tokens& to) {
    if (!values.is_array() && !values.is_null())
      file.refuse("\"" + key + "\" should be a list of tokens, or an object with their names");
    for (const nlohmann::json& value : values) to.add(given_token(value, file, key, is_map));
  }
  static given_tokens list(const nlohmann::json& values, const json_object_file& file, const std::string& key,
                           bool is_map) {
    given_tokens out;
    append(values, file, key, is_map, out);
    return out;
  }
  // Reads a list, or an object with names.
  void read_extra(const nlohmann::json& value, const json_object_file& file, const std::string& key, bool is_map) {
    if (!value.is_object()) {
      if (!extra_ || value.is_null()) extra_.emplace();
      return append(value, file, key, is_map, *extra_);
    }
    extra_.reset();
    name_own(value, file, key, is_map);
  }
  void name_own(const nlohmann::json& named, const json_object_file& file, const std::string& key, bool is_map) {
    for (const std::string& name : file.inner_keys.at(key))
      own_.set(name, given_token(named[name], file, name, is_map));
  }

  named_tokens standard_;
  named_tokens more_;  // the model's own names that transformers finds late and puts first
  named_tokens own_;   // its other own names; they override more_
  std::optional<given_tokens> extra_;
  given_tokens old_extra_;  // additional_special_tokens, if the newer name has none
};

}  // namespace iapt
