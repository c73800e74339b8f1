// SPDX-License-Identifier: Apache-2.0
// Values of a tokenizer.json, checked: each function refuses what is not of the kind it reads.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "iapt/core/error.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// Reads values of a tokenizer.json. Each `where` is the value's place in the file, for messages.
class tokenizer_json_fields {
 public:
  using json = nlohmann::json;                 ///< A value of the file.
  static constexpr token_id max_id = 1 << 22;  ///< Limits the memory that an untrusted id can allocate.

  /// Reads values of the file `name`.
  explicit tokenizer_json_fields(std::string_view name) : name_(name) {}

  /// Refuses the file: throws an io_error that names the place.
  [[noreturn]] void refuse(const std::string& where, const std::string& what) const {
    throw io_error(name_ + ": \"" + where + "\" " + what +
                   "; this library reads byte-level BPE tokenizers as SmolLM2, Llama 3, Qwen2 and GPT-2 have them, and "
                   "SentencePiece BPE tokenizers with byte fallback as Llama 2, Mistral, Phi-3 and Gemma have them");
  }

  /// The member, or null if there is none.
  static const json& part(const json& object, const char* key) {
    static const json nothing;
    const auto found = object.find(key);
    return found == object.end() ? nothing : *found;
  }
  /// A string. @throws io_error
  std::string text(const json& value, const std::string& where) const {
    if (!value.is_string()) refuse(where, std::string("should be a string, found ") + value.type_name());
    return value.get<std::string>();
  }
  /// A member that is true or false. @throws io_error
  bool flag(const json& object, const char* key, bool otherwise, const std::string& where) const {
    const json& value = part(object, key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean())
      refuse(where + "." + key, std::string("should be true or false, found ") + value.type_name());
    return value.get<bool>();
  }
  /// A token id. @throws io_error
  token_id id(const json& value, const std::string& where) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= static_cast<std::uint64_t>(max_id))
      refuse(where, "should be a token id below " + std::to_string(max_id) + ", found " + excerpt(value));
    return static_cast<token_id>(value.get<std::uint64_t>());
  }
  /// The "type" of an object. @throws io_error
  std::string type_of(const json& value, const std::string& where) const {
    if (!value.is_object()) refuse(where, std::string("should be an object, found ") + value.type_name());
    return text(part(value, "type"), where + ".type");
  }
  /// The beginning of a value, for messages.
  static std::string excerpt(const json& value) {
    const std::string whole = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return whole.size() <= 60 ? whole : whole.substr(0, 60) + "...";
  }
  /// A list. @throws io_error
  const json& list(const json& value, const std::string& where) const {
    if (!value.is_array()) refuse(where, std::string("should be a list, found ") + value.type_name());
    return value;
  }
  /// The parts of a Sequence, or the part itself if it is of another type; none for null.
  /// @param whole the part
  /// @param where its place
  /// @param key the Sequence's key for its parts
  /// @throws io_error, also for a Sequence in a Sequence
  std::vector<std::pair<std::string, json>> sequence(const json& whole, const std::string& where,
                                                     const char* key) const {
    std::vector<std::pair<std::string, json>> parts;
    if (whole.is_null()) return parts;
    if (std::string type = type_of(whole, where); type != "Sequence") return {{std::move(type), whole}};
    for (const json& item : list(part(whole, key), where + "." + key)) {
      std::string type = type_of(item, where);
      if (type == "Sequence") refuse(where, "has a Sequence in a Sequence");
      parts.emplace_back(std::move(type), item);
    }
    return parts;
  }

 private:
  std::string name_;
};

}  // namespace iapt
