// SPDX-License-Identifier: Apache-2.0
// Reads the files that may stand beside a tokenizer.json: names of tokens, more tokens, chat templates.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "iapt/core/error.hpp"
#include "iapt/text/added_vocabulary.hpp"
#include "iapt/text/json.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// The texts of the files beside tokenizer.json, and nothing for a file that is not there.
struct tokenizer_side_files {
  std::string folder = {};                             ///< where they stand, for messages
  std::optional<std::string> config = {};              ///< tokenizer_config.json
  std::optional<std::string> special_tokens_map = {};  ///< special_tokens_map.json
  std::optional<std::string> added_tokens = {};        ///< added_tokens.json
  std::map<std::string, std::string> templates = {};   ///< chat_template.jinja as "default", others by their name
};

/// Completes a definition from tokenizer.json by the files beside it. Made for one definition, used through
/// `read_tokenizer_config`.
class tokenizer_config_reader {
 public:
  /// Completes `spec` in place.
  explicit tokenizer_config_reader(tokenizer_spec& spec) : spec_(spec), words_(spec) {
    for (const added_token& token : spec.listed) add(token);
  }

  /// Reads `files`. @throws io_error
  void read(const tokenizer_side_files& files) {
    const json config = object(files.config, files.folder + "/tokenizer_config.json");
    file_ = files.folder + "/tokenizer_config.json";
    read_names(config, false);
    const bool lists_tokens = config.contains("added_tokens_decoder") && !config["added_tokens_decoder"].is_null();
    if (lists_tokens) {
      read_added_tokens_decoder(config["added_tokens_decoder"]);
    } else {  // the files of older versions count
      file_ = files.folder + "/special_tokens_map.json";
      read_names(object(files.special_tokens_map, file_), true);
      file_ = files.folder + "/added_tokens.json";
      read_added_tokens(object(files.added_tokens, file_));
    }
    file_ = files.folder + "/tokenizer_config.json";
    add_tokens();
    read_prefix_space(config);
    read_chat_template(config, files.templates);
  }

 private:
  using json = nlohmann::json;
  // In the order in which new ones get their ids.
  static constexpr std::array<std::string_view, 7> standard_names{"bos_token", "eos_token", "unk_token", "sep_token",
                                                                  "pad_token", "cls_token", "mask_token"};

  [[noreturn]] void refuse(const std::string& what) const { throw io_error(file_ + ": " + what); }

  static json object(const std::optional<std::string>& text, const std::string& file) {
    if (!text) return json::object();
    json root = parse_json(*text, file, "the tokenizer's configuration");
    if (!root.is_object()) throw io_error(file + ": the file is not a JSON object");
    return root;
  }

  // A token as a string, or as an object with its flags.
  added_token token(const json& value, const std::string& key, bool special) const {
    added_token out;
    out.special = special;
    const json* content = &value;
    if (value.is_object()) {
      const auto flag = [&](const char* name, bool otherwise) {
        const auto found = value.find(name);
        if (found == value.end()) return otherwise;
        if (!found->is_boolean()) refuse("\"" + key + "\": \"" + name + "\" should be true or false");
        return found->get<bool>();
      };
      content = value.contains("content") ? &value["content"] : content;
      out.special = flag("special", special);
      out.normalized = flag("normalized", !out.special);
      out.lstrip = flag("lstrip", false);
      out.rstrip = flag("rstrip", false);
      out.single_word = flag("single_word", false);
    }
    if (!content->is_string()) refuse("\"" + key + "\" should be a string, or an object with the string \"content\"");
    out.text = content->get<std::string>();
    return out;
  }

  // Whether an object under a name of the model's own is a token: it says so, but in special_tokens_map.json.
  static bool is_token(const json& value, bool is_map) {
    return value.is_object() && (is_map || value.contains("__type"));
  }

  // bos_token and the like, and lists of special tokens. What special_tokens_map.json says of a name counts.
  void read_names(const json& root, bool is_map) {
    for (const auto& [key, value] : root.items()) {
      const bool standard = std::find(standard_names.begin(), standard_names.end(), key) != standard_names.end();
      if (standard && value.is_null()) {
        names_.erase(key);
      } else if (standard || (key.ends_with("_token") && (value.is_string() || is_token(value, is_map)))) {
        names_[key] = token(value, key, true);
      }
    }
    // An object names tokens; of lists the first counts.
    for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
      const auto extra = root.find(key);
      if (extra == root.end() || extra->empty()) continue;
      if (extra->is_object()) {
        for (const auto& [name, value] : extra->items()) names_[name] = token(value, name, true);
        continue;
      }
      if (!extra->is_array())
        refuse("\"" + std::string(key) + "\" should be a list of tokens, or an object with their names");
      if (!is_map || extra_.empty() || root.contains("extra_special_tokens"))
        for (const json& value : *extra) extra_.push_back(token(value, key, true));
      break;
    }
  }

  void read_added_tokens_decoder(const json& listed) {
    if (!listed.is_object()) refuse("\"added_tokens_decoder\" should be an object with ids as its keys");
    for (const auto& [key, value] : listed.items()) {
      if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos)
        refuse("\"added_tokens_decoder\" has the key \"" + key + "\", which is no token id");
      listed_[std::atoi(key.c_str())] = token(value, "added_tokens_decoder", false);
    }
  }

  void read_added_tokens(const json& root) {
    std::unordered_set<std::string> special = named_texts();
    for (const added_token& token : extra_) special.insert(token.text);
    std::unordered_set<token_id> taken;  // tokenizer.json's token counts
    for (const added_token& token : spec_.listed) taken.insert(token.id);
    for (const auto& [text, value] : root.items()) {
      if (!value.is_number_integer()) refuse("\"" + text + "\" should have a token id");
      const auto id = value.get<token_id>();
      const bool is_special = special.contains(text);
      if (!taken.contains(id)) listed_[id] = {.id = id, .text = text, .special = is_special, .normalized = !is_special};
    }
  }

  std::unordered_set<std::string> named_texts() const {
    std::unordered_set<std::string> out;
    for (const auto& [name, token] : names_) out.insert(token.text);
    return out;
  }

  // Ids that files name for new tokens are but an order: each gets the next one, as transformers gives them.
  void add_tokens() {
    const auto named = named_texts();
    for (auto& [id, token] : listed_) {
      if (!added_.contains(token.text) && named.contains(token.text)) token.special = true;
      add(token);
    }
    const auto add_missing = [&](const added_token& token) {
      if (!added_.contains(token.text)) add(token);
    };
    for (const std::string_view name : standard_names)
      if (const auto found = names_.find(name); found != names_.end()) add_missing(found->second);
    for (const auto& [name, token] : names_) add_missing(token);
    for (const added_token& token : extra_) add_missing(token);

    const auto id_of = [&](std::string_view name, std::optional<token_id>& into) {
      if (const auto found = names_.find(name); found != names_.end() && !found->second.text.empty())
        into = words_.id_of(found->second.text);
    };
    id_of("bos_token", spec_.bos);
    id_of("eos_token", spec_.eos);
  }

  void add(const added_token& token) {
    words_.add(token);
    added_.insert(token.text);
  }

  // Of transformers' classes these two make the pre-tokenizer themselves, others leave it as tokenizer.json has it.
  void read_prefix_space(const json& config) {
    const auto text = [&](const char* key) {
      const auto found = config.find(key);
      return found != config.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const std::string name = text("tokenizer_class");
    const bool gpt2 = name == "GPT2Tokenizer" || name == "GPT2TokenizerFast";
    const bool qwen2 = name == "Qwen2Tokenizer" || name == "Qwen2TokenizerFast";
    if (!gpt2 && !qwen2) return;
    const auto found = config.find("add_prefix_space");
    spec_.prefix_space.reset();
    if (found != config.end() && *found == true) spec_.prefix_space = gpt2 ? 0 : spec_.splits.size();
  }

  void read_chat_template(const json& config, std::map<std::string, std::string> templates) {
    const auto found = config.find("chat_template");
    if (templates.empty() && found != config.end()) {
      if (found->is_string()) templates["default"] = found->get<std::string>();
      if (found->is_array())
        for (const auto& item : *found)
          if (item.is_object() && item.value("name", json()).is_string() && item.value("template", json()).is_string())
            templates[item["name"]] = item["template"];
    }
    spec_.chat_template = templates["default"];
  }

  tokenizer_spec& spec_;
  std::string file_;  // what is read, for messages
  added_vocabulary words_;
  std::unordered_set<std::string> added_;  // the texts of what was added
  std::map<std::string, added_token, std::less<>> names_;
  std::map<token_id, added_token> listed_;  // by the ids that files name
  std::vector<added_token> extra_;
};

/// Completes a definition from tokenizer.json by what stands beside it, as transformers 5.24 does: the beginning and
/// end tokens, tokens that tokenizer.json lacks, the chat template. `add_bos_token` is not read: tokenizer.json says
/// what a prompt begins with.
/// @param spec the definition, changed in place
/// @param files the files' contents
/// @throws io_error for a damaged file
inline void read_tokenizer_config(tokenizer_spec& spec, const tokenizer_side_files& files) {
  tokenizer_config_reader(spec).read(files);
}

/// The ids of `eos_token_id`, a number or a list of them, in generation_config.json or config.json. Configurations also
/// write null, or a number that is no id, where there is none: these are left out.
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
