// SPDX-License-Identifier: Apache-2.0
// SentencePiece's BPE of one word: its characters as tokens, then the merges. Other characters become tokens of bytes.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/bpe_merges.hpp"
#include "iapt/text/tokenizer_spec.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt::sentencepiece {

/// U+2581, with which a vocabulary writes a space.
inline constexpr std::string_view space = "\xE2\x96\x81";

/// The token of a byte, such as "<0x0A>".
inline std::string byte_token(unsigned char byte) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  return std::string("<0x") + hex[byte >> 4] + hex[byte & 15] + ">";
}

/// The byte of a token that `byte_token` gives; none for another token.
inline std::optional<unsigned char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return {};
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  const int high = digit(token[3]), low = digit(token[4]);
  if (high < 0 || low < 0) return {};
  return static_cast<unsigned char>(high * 16 + low);
}

/// The bytes of text that a token stands for.
inline std::string to_bytes(std::string_view token) {
  if (const auto byte = byte_of(token)) return std::string(1, static_cast<char>(*byte));
  std::string out;
  for (std::size_t at; (at = token.find(space)) != token.npos; token.remove_prefix(at + space.size()))
    out.append(token.substr(0, at)) += ' ';
  return out.append(token);
}

/// Whether a piece of a text gets a space at its beginning.
/// @param piece the piece, not empty
/// @param rule which pieces get one
/// @param is_first whether it is the beginning of the text
inline bool needs_prefix(std::string_view piece, space_prefix rule, bool is_first) {
  const bool has_space = piece.starts_with(' ') || piece.starts_with(space);
  switch (rule) {
    case space_prefix::none:
      return false;
    case space_prefix::each_piece:
      return true;
    case space_prefix::unless_space:
      return !has_space;
    case space_prefix::first_unless_space:
      return is_first && !has_space;
  }
  return false;
}

/// A text with its spaces written as U+2581, and the places of its bytes in the text as it was.
class marked_spaces {
 public:
  /// Replaces the spaces of `raw`, and puts one more before it if `prefix`.
  marked_spaces(std::string_view raw, bool prefix) : prefix_(prefix) {
    text_.reserve(raw.size() + raw.size() / 2 + space.size());
    const auto mark = [&] {
      marks_.push_back(text_.size());
      text_ += space;
    };
    if (prefix) mark();
    for (std::size_t at; (at = raw.find(' ')) != raw.npos; raw.remove_prefix(at + 1)) {
      text_ += raw.substr(0, at);
      mark();
    }
    text_ += raw;
  }

  /// The text with the replaced spaces.
  const std::string& text() const { return text_; }

  /// The bytes of the raw text, as [begin, end), which bytes [begin, end) of `text()` stand for; end > begin.
  std::pair<std::size_t, std::size_t> raw_range(std::size_t begin, std::size_t end) const {
    return {raw_byte(begin).first, raw_byte(end - 1).second};
  }

 private:
  std::pair<std::size_t, std::size_t> raw_byte(std::size_t at) const {
    const auto behind = std::upper_bound(marks_.begin(), marks_.end(), at);
    if (behind == marks_.begin()) return {at, at + 1};
    const std::size_t begun = static_cast<std::size_t>(behind - marks_.begin()), last = behind[-1];
    if (at >= last + space.size()) {
      const std::size_t raw = at - begun * (space.size() - 1) - prefix_;
      return {raw, raw + 1};
    }
    if (prefix_ && begun == 1) return {0, 0};  // it stands for nothing
    const std::size_t raw = last - (begun - 1) * (space.size() - 1) - prefix_;
    return {raw, raw + 1};
  }

  std::string text_;
  std::vector<std::size_t> marks_;  // where the spaces are in text_
  std::size_t prefix_;
};

/// Where the first word of a text ends: before the next U+2581, or, if `runs`, before the next one that does not follow
/// another.
inline std::size_t end_of_word(std::string_view text, bool runs) {
  std::size_t at = text.find(space, 1);
  while (runs && at != text.npos && text.substr(0, at).ends_with(space)) at = text.find(space, at + space.size());
  return std::min(at, text.size());
}

/// Calls `take(word)` for each word of a text. `runs` is as in `end_of_word`.
template <class Take>
void split_words(std::string_view text, bool runs, Take&& take) {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, end_of_word(text, runs));
    take(word);
    text.remove_prefix(word.size());
  }
}

}  // namespace iapt::sentencepiece

namespace iapt {

/// The merge rules of a SentencePiece vocabulary, by rank or by score. A text never becomes a control token.
/// @par Source Kudo and Richardson 2018, "SentencePiece: A simple and language independent subword tokenizer and
/// detokenizer for Neural Text Processing"
class sentencepiece_bpe {
 public:
  /// Reads vocabulary and merges from `spec`.
  /// @throws io_error if a byte has no token, if a merge uses or gives a token that is not in the vocabulary, or if the
  /// scores do not fit
  explicit sentencepiece_bpe(const tokenizer_spec& spec) : size_(static_cast<token_id>(spec.tokens.size())) {
    std::vector<bool> is_control(spec.tokens.size()), is_added(spec.tokens.size());
    for (const added_token& token : spec.added) {
      is_added[static_cast<std::size_t>(token.id)] = true;
      is_control[static_cast<std::size_t>(token.id)] = token.special;
    }
    id_map ids;
    ids.reserve(spec.tokens.size());
    for (std::size_t id = 0; id < spec.tokens.size(); ++id)
      if (!spec.tokens[id].empty()) ids[spec.tokens[id]] = static_cast<token_id>(id);

    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::string token = sentencepiece::byte_token(static_cast<unsigned char>(byte));
      const auto found = ids.find(token);
      if (found == ids.end())
        throw io_error(spec.source + ": the vocabulary has no token " + token +
                       ", so it cannot write every text; only SentencePiece vocabularies with byte fallback, which "
                       "have a token for each of the 256 bytes, are supported");
      byte_ids_[byte] = found->second;
    }
    const std::vector<float>& scores = spec.sentencepiece.value().scores;
    if (!scores.empty())
      std::erase_if(ids, [&](const auto& entry) {
        return is_control[static_cast<std::size_t>(entry.second)] || sentencepiece::byte_of(entry.first);
      });
    for (const auto& [token, id] : ids)
      if (const utf8::step s = utf8::next(token);
          s.kind == utf8::step_kind::complete && s.size == token.size() && !is_control[static_cast<std::size_t>(id)])
        characters_[s.code_point] = id;
    if (scores.empty()) {
      merges_.read(spec, ids, [&](token_id id) {
        if (is_control[static_cast<std::size_t>(id)]) return false;
        see(spec.tokens[static_cast<std::size_t>(id)]);
        return true;
      });
    } else {
      read_scores(spec.source, scores, ids, is_added);
    }
    for (const auto& [character, id] : characters_)
      if (character < ascii_.size()) ascii_[character] = id;
  }

  /// Whether no token goes on behind a word (`sentencepiece::end_of_word` with `runs`). Then words can be encoded one
  /// by one, with the same result.
  bool separates_words() const { return separates_words_; }

  /// Appends the tokens of `word` (valid UTF-8, with U+2581 for spaces) to `out`. It merges the leftmost pair of the
  /// lowest rank or highest score until no pair can be merged.
  /// @throws io_error for a word of 2 GiB or more
  void encode(std::string_view word, std::vector<token_id>& out, bpe_merges::workspace& work) const {
    work.begin(word.size());
    for (std::size_t at = 0, size = 1; at < word.size(); at += size) {
      const auto lead = static_cast<unsigned char>(word[at]);
      token_id id = none;
      if (lead < ascii_.size()) {
        id = ascii_[lead], size = 1;
      } else {
        const utf8::step s = utf8::next(word.substr(at));
        size = s.size;
        if (const auto found = characters_.find(s.code_point); found != characters_.end()) id = found->second;
      }
      if (id != none) {
        work.push(id);
      } else {
        for (const char byte : word.substr(at, size)) work.push(byte_ids_[static_cast<unsigned char>(byte)]);
      }
    }
    merges_.apply(work, [&](token_id id) {
      if (id < size_) return out.push_back(id);
      std::string bytes;
      utf8::append(bytes, partial_[static_cast<std::size_t>(id - size_)]);
      for (const char byte : bytes) out.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    });
  }

 private:
  using id_map = std::unordered_map<std::string_view, token_id>;
  static constexpr token_id none = -1;
  static constexpr std::size_t max_token_size = 256;  // limits the time for a damaged file: n^2 for a token of n bytes

  // Takes notice of a token that merges may give.
  void see(std::string_view token) {
    separates_words_ = separates_words_ && sentencepiece::end_of_word(token, true) == token.size();
  }

  // Any two adjacent symbols merge whose text is a token. Its halves are tokens, or characters that are no token: these
  // get ids behind those of the vocabulary.
  void read_scores(const std::string& source, const std::vector<float>& scores, const id_map& ids,
                   const std::vector<bool>& is_added) {
    if (scores.size() != static_cast<std::size_t>(size_))
      throw io_error(source + ": there are " + std::to_string(scores.size()) + " scores for " + std::to_string(size_) +
                     " tokens; the file is damaged");
    for (std::size_t id = 0; id < scores.size(); ++id)
      if (!std::isfinite(scores[id]))
        throw io_error(source + ": the score of token " + std::to_string(id) +
                       " is not a finite number, so the order of the merges is not known; the file is damaged");
    std::vector<float> order = scores;  // the index of a score is its rank
    std::sort(order.begin(), order.end(), std::greater<>());
    order.erase(std::unique(order.begin(), order.end()), order.end());

    const auto symbol = [&](std::string_view part) {
      if (const auto found = ids.find(part); found != ids.end()) return found->second;
      const utf8::step s = utf8::next(part);
      if (s.size != part.size()) return none;
      const auto [place, is_new] = characters_.emplace(s.code_point, size_ + static_cast<token_id>(partial_.size()));
      if (is_new) partial_.push_back(s.code_point);
      return place->second;
    };
    for (const auto& [token, id] : ids) {
      const auto at = static_cast<std::size_t>(id);
      if (utf8::find_invalid(token) != token.npos) continue;  // a text has only whole characters
      if (token.size() > max_token_size) {
        if (is_added[at]) continue;  // found as a whole before
        throw io_error(source + ": token " + std::to_string(id) + " has " + std::to_string(token.size()) +
                       " bytes, but at most " + std::to_string(max_token_size) + " are supported");
      }
      see(token);
      const auto rank = std::lower_bound(order.begin(), order.end(), scores[at], std::greater<>()) - order.begin();
      for (std::size_t cut = utf8::next(token).size; cut < token.size(); cut += utf8::next(token.substr(cut)).size) {
        const token_id left = symbol(token.substr(0, cut)), right = symbol(token.substr(cut));
        if (left != none && right != none) merges_.set(left, right, static_cast<std::uint32_t>(rank), id);
      }
    }
  }

  token_id size_;
  bool separates_words_ = true;
  std::array<token_id, 256> byte_ids_{};
  std::array<token_id, 128> ascii_ = filled();
  std::unordered_map<char32_t, token_id> characters_;  // symbols of one character
  std::vector<char32_t> partial_;                      // those that are no token, by id - size_
  bpe_merges merges_;

  static constexpr std::array<token_id, 128> filled() {
    std::array<token_id, 128> out{};
    out.fill(none);
    return out;
  }
};

}  // namespace iapt
