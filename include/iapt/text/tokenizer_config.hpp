// SPDX-License-Identifier: Apache-2.0
// Reads the optional files beside a tokenizer.json: names of tokens, more tokens, chat templates.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "iapt/core/error.hpp"
#include "iapt/text/added_vocabulary.hpp"
#include "iapt/text/given_token.hpp"
#include "iapt/text/json.hpp"
#include "iapt/text/token_names.hpp"
#include "iapt/text/tokenizer_class.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// The contents of the files beside tokenizer.json; none for a missing file.
struct tokenizer_side_files {
  std::string folder = {};                             ///< path of the folder, for messages
  std::optional<std::string> model = {};               ///< config.json
  std::optional<std::string> config = {};              ///< tokenizer_config.json
  std::optional<std::string> special_tokens_map = {};  ///< special_tokens_map.json
  std::optional<std::string> added_tokens = {};        ///< added_tokens.json
  std::map<std::string, std::string> templates = {};   ///< chat_template.jinja as "default", others by name
};

/// Completes a definition from tokenizer.json with the files beside it. For one definition; use it through
/// `read_tokenizer_config`.
class tokenizer_config_reader {
 public:
  /// Completes `spec` in place.
  explicit tokenizer_config_reader(tokenizer_spec& spec) : spec_(spec) {}

  /// Reads `files`. @throws io_error
  void read(const tokenizer_side_files& files) {
    const json_object_file config(files.folder + "/tokenizer_config.json", files.config);
    class_ = tokenizer_class_of(config, json_object_file(files.folder + "/config.json", files.model));
    names_.read_config(config);
    if (const json* listed = config.find("added_tokens_decoder"); listed && !listed->is_null()) {
      read_added_tokens_decoder(*listed, config);
    } else {  // older versions have these files instead
      names_.read_map({files.folder + "/special_tokens_map.json", files.special_tokens_map});
      read_added_tokens({files.folder + "/added_tokens.json", files.added_tokens});
      for (const added_token& token : spec_.listed) list(token.id, given_token(token));
    }
    add_tokens();
    read_prefix_space(config);
    read_chat_template(config, files.templates);
  }

 private:
  using json = nlohmann::json;

  void list(token_id id, const given_token& token) {
    listed_.insert_or_assign(id, token);
    listed_texts_.insert_or_assign(token.text, token);
  }

  void read_added_tokens_decoder(const json& listed, const json_object_file& file) {
    if (!listed.is_object()) file.refuse("\"added_tokens_decoder\" should be an object with ids as its keys");
    for (const auto& [key, value] : listed.items()) {
      if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos)
        file.refuse("\"added_tokens_decoder\" has the key \"" + key + "\", which is no token id");
      list(std::atoi(key.c_str()), given_token(value, file, "added_tokens_decoder", false));
    }
  }

  void read_added_tokens(const json_object_file& file) {
    const auto special = names_.special_texts();
    for (const std::string& text : file.keys) {
      const json& value = *file.find(text);
      if (!value.is_number_integer()) file.refuse("\"" + text + "\" should have a token id");
      const bool is_special = special.contains(text);
      list(value.get<token_id>(), given_token({.text = text, .special = is_special, .normalized = !is_special}));
    }
  }

  // The ids in the files give only an order.
  void add_tokens() {
    const named_tokens names = names_.names(default_token_names(class_), listed_texts_);
    std::unordered_set<std::string> named, known;
    for (const auto& [name, token] : names)
      if (token) named.insert(token->text);

    added_vocabulary words(spec_);
    const auto add = [&](given_token token) {
      known.insert(token.text);
      if (named.contains(token.text)) token.make_special();
      words.add(std::move(token));
    };
    if (class_ == tokenizer_class::general)
      for (const added_token& token : spec_.listed) words.add(token), known.insert(token.text);
    for (const auto& [id, token] : listed_) add(token);

    given_tokens missing;
    const auto miss = [&](const given_token& token) {
      if (!known.contains(token.text)) missing.add(token);
    };
    for (const auto& [name, token] : names)
      if (token) miss(*token);
    for (const given_token& token : names_.extra()) miss(token);
    for (const given_token& token : missing) add(token);
    if (class_ == tokenizer_class::qwen2) {  // it adds them again, without flags
      for (const auto& [name, token] : names)
        if (token) words.add(given_token(token->text));
      for (const given_token& token : names_.extra()) words.add(given_token(token.text));
    }

    const auto id_of = [&](const char* name, std::optional<token_id>& into) {
      if (const given_token* token = names.find(name); token && !token->text.empty()) into = words.id_of(token->text);
    };
    id_of("bos_token", spec_.bos);
    id_of("eos_token", spec_.eos);
  }

  // A class that creates the pre-tokenizer itself takes this from tokenizer_config.json.
  void read_prefix_space(const json_object_file& config) {
    if (class_ == tokenizer_class::general) return;
    const json* found = config.find("add_prefix_space");
    spec_.prefix_space.reset();
    if (found && *found == true) spec_.prefix_space = class_ == tokenizer_class::gpt2 ? 0 : spec_.splits.size();
  }

  void read_chat_template(const json_object_file& config, std::map<std::string, std::string> templates) {
    const json* found = config.find("chat_template");
    if (templates.empty() && found) {
      if (found->is_string()) templates["default"] = found->get<std::string>();
      if (found->is_object())
        for (const auto& [name, text] : found->items())
          if (text.is_string()) templates[name] = text;
      if (found->is_array())
        for (const auto& item : *found)
          if (item.is_object() && item.value("name", json()).is_string() && item.value("template", json()).is_string())
            templates[item["name"]] = item["template"];
    }
    spec_.chat_template = templates["default"];
  }

  tokenizer_spec& spec_;
  tokenizer_class class_ = tokenizer_class::general;
  token_names names_;
  std::map<token_id, given_token> listed_;                     // tokens by their ids in the files
  std::unordered_map<std::string, given_token> listed_texts_;  // also tokens whose id another one uses
};

/// Completes a definition from tokenizer.json with the files beside it, as transformers 5.24 does: the beginning and
/// end tokens, tokens that tokenizer.json lacks, the chat template. `add_bos_token` is not read, because tokenizer.json
/// says how a prompt begins.
/// @param spec the definition, changed in place
/// @param files the files' contents
/// @throws io_error for a damaged file
inline void read_tokenizer_config(tokenizer_spec& spec, const tokenizer_side_files& files) {
  tokenizer_config_reader(spec).read(files);
}

/// The ids of `eos_token_id`, one id or a list, in generation_config.json or config.json. Some configurations have null
/// or an impossible id for none: these are ignored.
/// @param text the file's content
/// @param name the file's name, for messages
/// @throws io_error for a damaged file, or a value of another type
inline std::vector<token_id> read_eos_token_ids(std::string_view text, const std::string& name) {
  const nlohmann::json root = parse_json(text, name, "the model's configuration");
  const auto found = root.find("eos_token_id");
  if (found == root.end() || found->is_null()) return {};
  std::vector<token_id> ids;
  for (const nlohmann::json& id : found->is_array() ? *found : nlohmann::json::array({*found})) {
    if (!id.is_number_integer())
      throw io_error(name + ": \"eos_token_id\" should be a token id or a list of them, found " + id.type_name());
    if (const auto value = id.get<std::int64_t>(); value >= 0 && value <= std::numeric_limits<token_id>::max())
      ids.push_back(static_cast<token_id>(value));
  }
  return ids;
}

}  // namespace iapt
