// SPDX-License-Identifier: Apache-2.0
// Tokens in the files beside tokenizer.json.
#pragma once
#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "iapt/core/error.hpp"
#include "iapt/text/json.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// A JSON object from a file, with its keys in the file's order.
struct json_object_file {
  std::string name;                                                 ///< name of the file, for messages
  nlohmann::json root = nlohmann::json::object();                   ///< its content
  std::vector<std::string> keys = {};                               ///< keys of the object
  std::map<std::string, std::vector<std::string>> inner_keys = {};  ///< keys of its values, by their keys

  /// Parses `text`; without a text the object is empty.
  /// @throws io_error if it is not a JSON object
  json_object_file(std::string file, const std::optional<std::string>& text) : name(std::move(file)) {
    if (!text) return;
    root = parse_json(*text, name, "the tokenizer's configuration", [&](int depth, const std::string& key) {
      if (depth == 1) keys.push_back(key), inner_keys[key].clear();  // of a repeated key, the last value counts
      if (depth == 2 && !keys.empty()) inner_keys[keys.back()].push_back(key);
    });
    if (!root.is_object()) refuse("the file is not a JSON object");
  }

  /// The value of a key, or null.
  const nlohmann::json* find(std::string_view key) const {
    const auto found = root.find(key);
    return found == root.end() ? nullptr : &*found;
  }
  /// Refuses the file: throws an io_error with its name.
  [[noreturn]] void refuse(const std::string& what) const { throw io_error(name + ": " + what); }
};

/// A token that a file has as a string, or as an object with flags.
struct given_token : added_token {
  bool is_text = false;         ///< whether it is a string: a special token without other flags
  bool is_typed = false;        ///< whether it is an object with "__type"
  bool says_normalized = true;  ///< whether "normalized" is given; if not, make_special clears it

  /// A token from a string.
  explicit given_token(std::string_view written) : is_text(true) { text = written; }
  /// A token from tokenizer.json.
  explicit given_token(added_token token) : added_token(std::move(token)) {}
  /// Reads a string or an object.
  /// @param value the token
  /// @param file its file
  /// @param key key of the token in the file, for messages
  /// @param otherwise default of "special" in an object
  /// @throws io_error if it is neither
  given_token(const nlohmann::json& value, const json_object_file& file, const std::string& key, bool otherwise)
      : is_text(value.is_string()), is_typed(value.is_object() && value.contains("__type")) {
    const auto flag = [&](const char* flag_name, bool default_value) {
      const auto found = value.find(flag_name);
      if (found == value.end()) return default_value;
      if (!found->is_boolean()) file.refuse("\"" + key + "\": \"" + flag_name + "\" should be true or false");
      return found->get<bool>();
    };
    const nlohmann::json* content = &value;
    if (value.is_object()) {
      content = value.contains("content") ? &value["content"] : content;
      special = flag("special", otherwise);
      says_normalized = value.contains("normalized");
      normalized = flag("normalized", !special);
      lstrip = flag("lstrip", false);
      rstrip = flag("rstrip", false);
      single_word = flag("single_word", false);
    }
    if (!content->is_string())
      file.refuse("\"" + key + "\" should be a string, or an object with the string \"content\"");
    text = content->get<std::string>();
  }

  /// Makes it a special token.
  void make_special() {
    special = true;
    if (!says_normalized) normalized = false;
  }
  /// Whether they are the same entry of a list: a string differs from an object, whatever its flags are.
  friend bool operator==(const given_token& a, const given_token& b) {
    return a.is_text == b.is_text && static_cast<const added_token&>(a) == static_cast<const added_token&>(b);
  }
};

/// A list of tokens without duplicates.
class given_tokens {
 public:
  /// Appends a token, unless the list has it.
  void add(given_token token) {
    const auto [begin, end] = places_.equal_range(token.text);
    if (std::any_of(begin, end, [&](const auto& place) { return tokens_[place.second] == token; })) return;
    places_.emplace(token.text, tokens_.size());
    tokens_.push_back(std::move(token));
  }
  auto begin() const { return tokens_.begin(); }  ///< Iterator to the first token.
  auto end() const { return tokens_.end(); }      ///< End of the list.

 private:
  std::vector<given_token> tokens_;
  std::unordered_multimap<std::string, std::size_t> places_;
};

/// Names with their tokens, or without one, in the order in which they were first set.
class named_tokens {
 public:
  /// Sets the token of a name, or none. A name that is there keeps its place.
  void set(const std::string& name, std::optional<given_token> token) {
    const auto [place, is_new] = places_.emplace(name, tokens_.size());
    if (is_new) tokens_.emplace_back(name, std::nullopt);
    tokens_[place->second].second = std::move(token);
  }
  /// The token of a name, or null.
  const given_token* find(const std::string& name) const {
    const auto place = places_.find(name);
    if (place == places_.end() || !tokens_[place->second].second) return nullptr;
    return &*tokens_[place->second].second;
  }
  auto begin() const { return tokens_.begin(); }  ///< Iterator to the first name with its token.
  auto end() const { return tokens_.end(); }      ///< End of the list.

 private:
  std::vector<std::pair<std::string, std::optional<given_token>>> tokens_;
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace iapt
