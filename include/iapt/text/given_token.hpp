// SPDX-License-Identifier: Apache-2.0
// Tokens as the files beside tokenizer.json give them.
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

/// A file with a JSON object, whose keys it remembers in their order.
struct json_object_file {
  std::string name;                                                 ///< for messages
  nlohmann::json root = nlohmann::json::object();                   ///< its content
  std::vector<std::string> keys = {};                               ///< of the object
  std::map<std::string, std::vector<std::string>> inner_keys = {};  ///< of its values, by their keys

  /// Parses `text`, or makes an empty object of a file that is not there.
  /// @throws io_error if it is no JSON object
  json_object_file(std::string file, const std::optional<std::string>& text) : name(std::move(file)) {
    if (!text) return;
    root = parse_json(*text, name, "the tokenizer's configuration", [&](int depth, const std::string& key) {
      if (depth == 1) keys.push_back(key), inner_keys[key].clear();  // of a key that stands twice the last value counts
      if (depth == 2 && !keys.empty()) inner_keys[keys.back()].push_back(key);
    });
    if (!root.is_object()) refuse("the file is not a JSON object");
  }

  /// The value of a key, or nothing.
  const nlohmann::json* find(std::string_view key) const {
    const auto found = root.find(key);
    return found == root.end() ? nullptr : &*found;
  }
  /// Throws an io_error that names the file.
  [[noreturn]] void refuse(const std::string& what) const { throw io_error(name + ": " + what); }
};

/// A token that is a string in its file, or an object with flags.
struct given_token : added_token {
  bool is_text = false;         ///< a string: a special token without other flags
  bool is_typed = false;        ///< an object with "__type"
  bool says_normalized = true;  ///< otherwise a token that is made special is not normalized

  /// A string.
  explicit given_token(std::string_view written) : is_text(true) { text = written; }
  /// One of tokenizer.json.
  explicit given_token(added_token token) : added_token(std::move(token)) {}
  /// Reads a string or an object.
  /// @param value the token
  /// @param file its file
  /// @param key its key there, for messages
  /// @param otherwise whether an object is special that does not say so
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
  /// Whether they are one token in a list: a string is no object, whatever its flags are.
  friend bool operator==(const given_token& a, const given_token& b) {
    return a.is_text == b.is_text && static_cast<const added_token&>(a) == static_cast<const added_token&>(b);
  }
};

/// Tokens in their order, each once.
class given_tokens {
 public:
  /// Puts one behind the others, unless it is there.
  void add(given_token token) {
    const auto [begin, end] = places_.equal_range(token.text);
    if (std::any_of(begin, end, [&](const auto& place) { return tokens_[place.second] == token; })) return;
    places_.emplace(token.text, tokens_.size());
    tokens_.push_back(std::move(token));
  }
  auto begin() const { return tokens_.begin(); }  ///< The first.
  auto end() const { return tokens_.end(); }      ///< Behind the last.

 private:
  std::vector<given_token> tokens_;
  std::unordered_multimap<std::string, std::size_t> places_;
};

/// Names, each with its token if it has one, in the order in which they came.
class named_tokens {
 public:
  /// Gives a name a token, or none; a name that is there keeps its place.
  void set(const std::string& name, std::optional<given_token> token) {
    const auto [place, is_new] = places_.emplace(name, tokens_.size());
    if (is_new) tokens_.emplace_back(name, std::nullopt);
    tokens_[place->second].second = std::move(token);
  }
  /// The token of a name, or nothing.
  const given_token* find(const std::string& name) const {
    const auto place = places_.find(name);
    if (place == places_.end() || !tokens_[place->second].second) return nullptr;
    return &*tokens_[place->second].second;
  }
  auto begin() const { return tokens_.begin(); }  ///< The first name with its token.
  auto end() const { return tokens_.end(); }      ///< Behind the last.

 private:
  std::vector<std::pair<std::string, std::optional<given_token>>> tokens_;
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace iapt
