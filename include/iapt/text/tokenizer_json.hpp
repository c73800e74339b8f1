// SPDX-License-Identifier: Apache-2.0
// Reads Hugging Face's tokenizer.json.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "iapt/core/error.hpp"
#include "iapt/text/added_vocabulary.hpp"
#include "iapt/text/json.hpp"
#include "iapt/text/sentencepiece_json.hpp"
#include "iapt/text/tokenizer_json_fields.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// Reads one tokenizer.json into a definition. A part whose effect this library does not reproduce is an error, never
/// ignored. For one file; use it through `parse_tokenizer_json`.
class tokenizer_json_reader : tokenizer_json_fields {
 public:
  /// Reads the file `name`, with which each message begins.
  explicit tokenizer_json_reader(std::string_view name) : tokenizer_json_fields(name) { spec_.source = name; }

  /// Reads the whole file. @throws io_error
  tokenizer_spec read(std::string_view text) {
    const json root = parse_json(text, spec_.source, "the tokenizer");
    if (!root.is_object()) refuse("the file", "is not a JSON object");
    read_model(part(root, "model"));
    read_added_tokens(part(root, "added_tokens"));
    if (flag(part(root, "model"), "byte_fallback", false, "model")) {
      if (spec_.ignore_merges) refuse("model.ignore_merges", "is not supported together with byte_fallback");
      spec_.sentencepiece = sentencepiece_json_reader(spec_.source).read(root);
    } else {
      read_byte_level(root);
    }
    read_post_processor(part(root, "post_processor"));
    return std::move(spec_);
  }

 private:
  void read_byte_level(const json& root) {
    read_normalizer(part(root, "normalizer"));
    read_pre_tokenizer(part(root, "pre_tokenizer"));
    if (!found_byte_level_)
      refuse("pre_tokenizer", "has no ByteLevel, and \"model.byte_fallback\" is not true; one of them must be");
    if (type_of(part(root, "decoder"), "decoder") != "ByteLevel") refuse("decoder", "is not ByteLevel");
  }

  void read_normalizer(const json& normalizer) {
    if (normalizer.is_null()) return;
    const std::string type = type_of(normalizer, "normalizer");
    if (type == "NFC") {
      spec_.nfc = true;
    } else if (type == "Sequence") {
      for (const json& item : list(part(normalizer, "normalizers"), "normalizer.normalizers")) {
        if (type_of(item, "normalizer.normalizers") == "Sequence") refuse("normalizer", "has a Sequence in a Sequence");
        read_normalizer(item);
      }
    } else {
      refuse("normalizer",
             "of type " + type + " is not supported without \"model.byte_fallback\" (only none and NFC are)");
    }
  }

  void read_model(const json& model) {
    // Old files have no type, but a vocabulary and merges.
    if (!model.is_object()) refuse("model", std::string("should be an object, found ") + model.type_name());
    if (const json& type = part(model, "type"); !type.is_null() && text(type, "model.type") != "BPE")
      refuse("model.type", "is " + excerpt(type) + ", not \"BPE\"");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const json& affix = part(model, key); !affix.is_null() && !text(affix, key).empty())
        refuse(std::string("model.") + key, "is not supported");
    if (const json& dropout = part(model, "dropout"); !dropout.is_null() && dropout != 0)
      refuse("model.dropout", "is not supported: the same text must always give the same tokens");
    spec_.fuse_unknown = flag(model, "fuse_unk", false, "model");
    spec_.ignore_merges = flag(model, "ignore_merges", false, "model");

    const json& vocabulary = part(model, "vocab");
    if (!vocabulary.is_object())
      refuse("model.vocab", std::string("should be an object, found ") + vocabulary.type_name());
    for (const auto& [token, number] : vocabulary.items()) place(token, id(number, "model.vocab"));
    if (const json& unknown = part(model, "unk_token"); !unknown.is_null()) {
      const auto found = vocabulary.find(text(unknown, "model.unk_token"));
      if (found == vocabulary.end())
        refuse("model.unk_token", "is " + excerpt(unknown) + ", which is not in the vocabulary");
      spec_.unknown = id(*found, "model.unk_token");
    }

    std::size_t rank = 0;
    for (const json& merge : list(part(model, "merges"), "model.merges")) {
      const std::string where = "model.merges[" + std::to_string(rank++) + "]";
      if (merge.is_array() && merge.size() == 2) {
        spec_.merges.emplace_back(text(merge[0], where), text(merge[1], where));
      } else {
        const std::string pair = text(merge, where);
        const std::size_t space = pair.find(' ');
        if (space == std::string::npos || pair.find(' ', space + 1) != std::string::npos)
          refuse(where, "is " + excerpt(merge) + ", not two tokens with a space between");
        spec_.merges.emplace_back(pair.substr(0, space), pair.substr(space + 1));
      }
    }
  }

  void place(const std::string& token, token_id number) {
    const auto at = static_cast<std::size_t>(number);
    if (token.empty()) refuse("model.vocab", "has an empty token");
    if (spec_.tokens.size() <= at) spec_.tokens.resize(at + 1);
    if (!spec_.tokens[at].empty() && spec_.tokens[at] != token)
      refuse("model.vocab", "gives the id " + std::to_string(number) + " to both " + excerpt(spec_.tokens[at]) +
                                " and " + excerpt(token));
    spec_.tokens[at] = token;
  }

  void read_added_tokens(const json& added) {
    if (added.is_null()) return;
    for (const json& item : list(added, "added_tokens")) {
      if (!item.is_object()) refuse("added_tokens", std::string("should hold objects, found ") + item.type_name());
      added_token token;
      token.id = id(part(item, "id"), "added_tokens.id");
      token.text = text(part(item, "content"), "added_tokens.content");
      token.special = flag(item, "special", false, "added_tokens");
      token.normalized = flag(item, "normalized", !token.special, "added_tokens");
      token.lstrip = flag(item, "lstrip", false, "added_tokens");
      token.rstrip = flag(item, "rstrip", false, "added_tokens");
      token.single_word = flag(item, "single_word", false, "added_tokens");
      if (!token.text.empty()) spec_.listed.push_back(std::move(token));
    }
    added_vocabulary words(spec_);
    for (const added_token& token : spec_.listed) words.add(token);
  }

  void read_pre_tokenizer(const json& pre) {
    const std::string type = type_of(pre, "pre_tokenizer");
    if (type == "Sequence") {
      for (const json& item : list(part(pre, "pretokenizers"), "pre_tokenizer.pretokenizers")) {
        if (type_of(item, "pre_tokenizer") == "Sequence") refuse("pre_tokenizer", "has a Sequence in a Sequence");
        read_pre_tokenizer(item);
      }
      return;
    }
    if (found_byte_level_) refuse("pre_tokenizer", "has " + type + " behind ByteLevel");
    if (type == "ByteLevel") {
      if (flag(pre, "add_prefix_space", true, "pre_tokenizer")) spec_.prefix_space = spec_.splits.size();
      if (flag(pre, "use_regex", true, "pre_tokenizer")) spec_.splits.emplace_back(split_patterns::gpt2);
      found_byte_level_ = true;
    } else if (type == "Digits") {
      const bool individual = flag(pre, "individual_digits", false, "pre_tokenizer");
      spec_.splits.push_back(individual ? split_patterns::digits() : split_patterns::digit_runs());
    } else if (type == "Split") {
      const json& pattern = part(pre, "pattern");
      if (!pattern.is_object() || !pattern.contains("Regex")) refuse("pre_tokenizer.pattern", "is not a Regex");
      const std::string behavior = text(part(pre, "behavior"), "pre_tokenizer.behavior");
      if (behavior != "Isolated") refuse("pre_tokenizer.behavior", "is \"" + behavior + "\", not \"Isolated\"");
      // Matches and gaps are treated alike, so `invert` changes nothing.
      spec_.splits.push_back(text(pattern["Regex"], "pre_tokenizer.pattern.Regex"));
    } else {
      refuse("pre_tokenizer", "of type " + type + " is not supported (Split, Digits and ByteLevel are)");
    }
  }

  // Only its effect on the ids of a single text counts: none, or a beginning-of-text token.
  void read_post_processor(const json& post) {
    if (post.is_null()) return;
    const std::string type = type_of(post, "post_processor");
    if (type == "ByteLevel") return;
    if (type == "Sequence") {
      for (const json& item : list(part(post, "processors"), "post_processor.processors")) {
        if (type_of(item, "post_processor") == "Sequence") refuse("post_processor", "has a Sequence in a Sequence");
        read_post_processor(item);
      }
      return;
    }
    if (type != "TemplateProcessing") refuse("post_processor", "of type " + type + " is not supported");
    const json& single = list(part(post, "single"), "post_processor.single");
    auto is = [&](std::size_t i, const char* kind) {
      return i < single.size() && single[i].is_object() && single[i].contains(kind) && single[i][kind].is_object();
    };
    if (single.size() == 1 && is(0, "Sequence")) return;
    if (!(single.size() == 2 && is(0, "SpecialToken") && is(1, "Sequence")) || spec_.first)
      refuse("post_processor.single", "is neither the text nor one special token and the text");
    const std::string bos = text(part(single[0]["SpecialToken"], "id"), "post_processor.single");
    const json& known = part(post, "special_tokens");
    if (!known.is_object() || !known.contains(bos) || !known[bos].is_object())
      refuse("post_processor.special_tokens", "lacks " + excerpt(bos));
    const json& ids = list(part(known[bos], "ids"), "post_processor.special_tokens");
    if (ids.size() != 1) refuse("post_processor.special_tokens", "should give one id for " + excerpt(bos));
    spec_.bos = spec_.first = id(ids[0], "post_processor.special_tokens");
  }

  tokenizer_spec spec_;
  bool found_byte_level_ = false;
};

/// Reads a tokenizer.json.
/// @param text the file's content
/// @param name the file's name, for messages
/// @throws io_error for a damaged file, or a kind of tokenizer that this library does not reproduce exactly
inline tokenizer_spec parse_tokenizer_json(std::string_view text, std::string_view name) {
  return tokenizer_json_reader(name).read(text);
}

}  // namespace iapt
