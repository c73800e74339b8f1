// SPDX-License-Identifier: Apache-2.0
// The definition of a BPE tokenizer, byte-level or SentencePiece's, from any file format.
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

/// The id of a token in the vocabulary.
using token_id = std::int32_t;

/// A token that is searched for in the raw text before all other steps, with Hugging Face's flags.
struct added_token {
  token_id id = 0;           ///< its id
  std::string text;          ///< text to search for, unchanged
  bool special = true;       ///< control token: not recognised in plain text, left out of decoded text on request
  bool normalized = false;   ///< searched for in a second pass, between the tokens that are not normalized
  bool lstrip = false;       ///< includes the white space before it
  bool rstrip = false;       ///< includes the white space after it
  bool single_word = false;  ///< found only if no word character is adjacent

  bool operator==(const added_token&) const = default;  ///< Equal in every member.
};

/// Which pieces of a text get a space at their beginning, so that a word has the same token there as inside a sentence.
enum class space_prefix {
  none,                ///< no piece
  each_piece,          ///< the beginning of the text, and each piece behind an added token
  unless_space,        ///< the same, but not a piece that begins with a space
  first_unless_space,  ///< only the beginning of the text, if it does not begin with a space
};

/// What a SentencePiece tokenizer has besides a vocabulary: its tokens write a space as U+2581, and the bytes of other
/// characters as "<0x00>" to "<0xFF>".
struct sentencepiece_options {
  space_prefix prefix = space_prefix::none;  ///< which pieces get a space
  bool normalizes = true;     ///< whether spaces are replaced before the added tokens with `normalized` are searched
  bool splits_words = false;  ///< whether a space begins a new word, so that no token has one inside
  bool strips_space = false;  ///< whether decoding leaves out a space at the beginning
  std::vector<float> scores = {};  ///< scores by id: the pair with the highest one merges first; empty: `merges` count

  bool operator==(const sentencepiece_options&) const = default;  ///< Equal in every member.
};

/// The definition of a `tokenizer`. Only the readers know the file formats.
struct tokenizer_spec {
  std::string source;               ///< name of the file, for messages
  std::vector<std::string> tokens;  ///< tokens by id, as the vocabulary writes them; empty for an id without a token,
                                    ///< and for an added token's
  std::vector<std::pair<std::string, std::string>> merges;  ///< pairs of tokens, by rank
  std::optional<sentencepiece_options> sentencepiece;  ///< for a SentencePiece vocabulary; none: the vocabulary is in
                                                       ///< the byte alphabet
  std::vector<added_token> added;                      ///< special and user-defined tokens
  std::vector<added_token> listed;                     ///< the tokens that tokenizer.json lists, with their ids there
  std::vector<std::string> splits;          ///< patterns as in tokenizer.json; each splits the pieces of the one before
  bool nfc = false;                         ///< whether the text is converted to NFC first
  bool ignore_merges = false;               ///< whether a word that is in the vocabulary is one token, without merges
  std::optional<token_id> unknown;          ///< token for bytes that are not in the vocabulary; none: they are left out
  bool fuse_unknown = false;                ///< whether a run of such bytes is one unknown token
  std::optional<std::size_t> prefix_space;  ///< index of the split before which a piece gets a space at its beginning,
                                            ///< if it has none
  std::optional<token_id> first;            ///< token that a raw prompt starts with
  std::optional<token_id> bos;              ///< beginning-of-text token
  std::optional<token_id> eos;              ///< end token (of a text or of a turn), which is added after a completion
  std::vector<token_id> end_of_generation;  ///< tokens that end an answer, besides `eos` and those with a known text
  std::string chat_template;                ///< Jinja source; empty if there is none
};

/// Pre-tokenizer patterns of the known families, in the syntax of tokenizer.json.
namespace split_patterns {

/// Each number character (Nd, Nl, No) alone: Hugging Face's Digits(individual_digits).
inline std::string digits() {
  return "[\\p{N}" + std::string(unicode_ranges::numbers) + std::string(unicode_ranges::numbers_17) + "]";
}

/// Runs of number characters: Hugging Face's Digits(individual_digits=false).
inline std::string digit_runs() { return digits() + "+"; }

/// GPT-2's pattern: contractions, letters, numbers and other characters with at most one space before, white space.
inline constexpr std::string_view gpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Llama 3's pattern: numbers in groups of three, line ends together with what is before them.
inline constexpr std::string_view llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";

/// Qwen2's pattern: Llama 3's with single numbers.
inline constexpr std::string_view qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";

}  // namespace split_patterns

}  // namespace iapt
