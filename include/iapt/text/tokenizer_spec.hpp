// SPDX-License-Identifier: Apache-2.0
// What defines a byte-level BPE tokenizer, whatever file it came from.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/text/unicode_ranges.hpp"

namespace iapt {

/// The number of a token in the vocabulary.
using token_id = std::int32_t;

/// A token that is found in the raw text before anything else happens, with Hugging Face's flags.
struct added_token {
  token_id id = 0;           ///< its number
  std::string text;          ///< what is looked for, as it stands
  bool special = true;       ///< a control token: not recognised in plain text, left out of decoded text on request
  bool normalized = false;   ///< looked for in a second pass, between the tokens that are not normalized
  bool lstrip = false;       ///< swallows the white space before it
  bool rstrip = false;       ///< swallows the white space behind it
  bool single_word = false;  ///< only where no word character stands next to it

  bool operator==(const added_token&) const = default;  ///< In every member.
};

/// Everything a `tokenizer` is built from. Readers fill it, nothing else knows their file formats.
struct tokenizer_spec {
  std::string source;               ///< file name or the like, for messages
  std::vector<std::string> tokens;  ///< by id, in the byte alphabet; an empty entry is an id without a token, or of an
                                    ///< added one
  std::vector<std::pair<std::string, std::string>> merges;  ///< in the byte alphabet, first is merged first
  std::vector<added_token> added;                           ///< special and user-defined tokens
  std::vector<added_token> listed;          ///< those of tokenizer.json as it lists them, with the ids that stand there
  std::vector<std::string> splits;          ///< patterns as in tokenizer.json; each cuts what the one before left
  bool nfc = false;                         ///< the text is put into Unicode's composed form first
  bool ignore_merges = false;               ///< a word that is in the vocabulary is one token, whatever the merges say
  std::optional<token_id> unknown;          ///< stands for bytes the vocabulary lacks; without it they are left out
  bool fuse_unknown = false;                ///< a run of such bytes is one unknown token
  std::optional<std::size_t> prefix_space;  ///< what the split of this number gets to cut begins with a space, if
                                            ///< need be with one more
  std::optional<token_id> first;            ///< what a raw prompt starts with
  std::optional<token_id> bos;              ///< beginning of text
  std::optional<token_id> eos;              ///< end of text (or of a turn): what is put behind a completion
  std::vector<token_id> end_of_generation;  ///< tokens that end an answer, beside `eos` and those of a known text
  std::string chat_template;                ///< Jinja source, empty where there is none
};

/// Pre-tokenizer patterns of the known families, in the syntax of tokenizer.json.
namespace split_patterns {

/// Each number character (Nd, Nl, No) alone: Hugging Face's Digits(individual_digits).
inline std::string digits() {
  return "[\\p{N}" + std::string(unicode_ranges::numbers) + std::string(unicode_ranges::numbers_17) + "]";
}

/// Runs of them: Hugging Face's Digits(individual_digits=false).
inline std::string digit_runs() { return digits() + "+"; }

/// GPT-2's: contractions, letters, numbers and other characters with at most one space before, white space.
inline constexpr std::string_view gpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Llama 3's: numbers in groups of three, line ends kept with what is before them.
inline constexpr std::string_view llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";

/// Qwen2's: Llama 3's with single numbers.
inline constexpr std::string_view qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";

}  // namespace split_patterns

}  // namespace iapt
