// SPDX-License-Identifier: Apache-2.0
// Reads how a tokenizer.json with a SentencePiece vocabulary treats spaces.
#pragma once
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "iapt/text/sentencepiece.hpp"
#include "iapt/text/tokenizer_json_fields.hpp"
#include "iapt/text/tokenizer_spec.hpp"

namespace iapt {

/// Reads the normalizer, the pre-tokenizer and the decoder of a SentencePiece tokenizer. There are two ways to write
/// spaces as U+2581: a normalizer, or the pre-tokenizer Metaspace.
class sentencepiece_json_reader : tokenizer_json_fields {
 public:
  /// Reads the file `name`, with which each message begins.
  explicit sentencepiece_json_reader(std::string_view name) : tokenizer_json_fields(name) {}

  /// Reads the whole file. @throws io_error
  sentencepiece_options read(const json& root) {
    read_normalizer(part(root, "normalizer"));
    read_pre_tokenizer(part(root, "pre_tokenizer"));
    if (!replaces_ && !metaspace_)
      refuse("normalizer", "does not replace spaces by U+2581, nor is there a pre_tokenizer Metaspace");
    read_decoder(part(root, "decoder"));
    return how_;
  }

 private:
  void read_normalizer(const json& normalizer) {
    for (const auto& [type, item] : sequence(normalizer, "normalizer", "normalizers")) {
      if (type == "Prepend") {
        if (text(part(item, "prepend"), "normalizer.prepend") != sentencepiece::space ||
            how_.prefix != space_prefix::none)
          refuse("normalizer.prepend", "is not U+2581, once");
        how_.prefix = space_prefix::each_piece;
      } else if (type == "Replace") {
        if (!replaces(item, " ", sentencepiece::space))
          refuse("normalizer", "replaces other text than a space by U+2581");
        replaces_ = true;
      } else {
        refuse("normalizer",
               "of type " + type + " is not supported with byte_fallback (none, Prepend and Replace of spaces are)");
      }
    }
    if (how_.prefix == space_prefix::each_piece && !replaces_) refuse("normalizer", "has Prepend without Replace");
  }

  void read_pre_tokenizer(const json& pre) {
    for (const auto& [type, item] : sequence(pre, "pre_tokenizer", "pretokenizers")) {
      if (type == "Metaspace" && !metaspace_ && !replaces_) {
        read_metaspace(item);
      } else if (type == "Split" && replaces_ && part(item, "pattern") == json{{"String", " "}}) {
        // The normalizer leaves no space to split at.
      } else {
        refuse("pre_tokenizer", "of type " + type +
                                    " is not supported here (with byte_fallback: none, Metaspace without a normalizer, "
                                    "or a Split at the spaces that a normalizer replaces)");
      }
    }
  }

  void read_metaspace(const json& item) {
    if (text(part(item, "replacement"), "pre_tokenizer.replacement") != sentencepiece::space)
      refuse("pre_tokenizer.replacement", "is not U+2581");
    const json& scheme = part(item, "prepend_scheme");
    const std::string prefix = scheme.is_null() ? "always" : text(scheme, "pre_tokenizer.prepend_scheme");
    if (prefix == "always") {
      how_.prefix = space_prefix::unless_space;
    } else if (prefix == "first") {
      how_.prefix = space_prefix::first_unless_space;
    } else if (prefix != "never") {
      refuse("pre_tokenizer.prepend_scheme", "is " + excerpt(scheme) + ", not \"always\", \"first\" or \"never\"");
    }
    if (!flag(item, "add_prefix_space", true, "pre_tokenizer") && prefix != "never")
      refuse("pre_tokenizer.add_prefix_space", "contradicts prepend_scheme");
    how_.splits_words = flag(item, "split", true, "pre_tokenizer");
    how_.normalizes = false;
    metaspace_ = true;
  }

  void read_decoder(const json& decoder) {
    const auto parts = sequence(decoder, "decoder", "decoders");
    const auto is = [&](std::size_t i, std::string_view type) { return i < parts.size() && parts[i].first == type; };
    const bool fits = is(0, "Replace") && replaces(parts[0].second, sentencepiece::space, " ") &&
                      is(1, "ByteFallback") && is(2, "Fuse") &&
                      (parts.size() == 3 || (parts.size() == 4 && is(3, "Strip")));
    if (!fits)
      refuse("decoder", "is not a Sequence of Replace (U+2581 by a space), ByteFallback, Fuse and perhaps Strip");
    if (parts.size() == 3) return;
    const json& strip = parts[3].second;
    if (part(strip, "content") != " " || part(strip, "start") != 1 || part(strip, "stop") != 0)
      refuse("decoder", "has a Strip that does not remove one space at the beginning of the text");
    how_.strips_space = true;
  }

  // Whether a Replace, of the normalizer or the decoder, replaces `from` by `to`.
  bool replaces(const json& item, std::string_view from, std::string_view to) const {
    return part(item, "pattern") == json{{"String", from}} && part(item, "content") == json(to);
  }

  sentencepiece_options how_;
  bool replaces_ = false;   // whether the normalizer replaces spaces
  bool metaspace_ = false;  // whether the pre-tokenizer does
};

}  // namespace iapt
