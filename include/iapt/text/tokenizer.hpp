// SPDX-License-Identifier: Apache-2.0
// The tokenizer: text to token ids and back, identical to Hugging Face's byte-level BPE and SentencePiece's BPE.
#pragma once
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/added_tokens.hpp"
#include "iapt/text/bpe.hpp"
#include "iapt/text/byte_alphabet.hpp"
#include "iapt/text/checked_tokenizer_spec.hpp"
#include "iapt/text/nfc.hpp"
#include "iapt/text/regex.hpp"
#include "iapt/text/sentencepiece.hpp"
#include "iapt/text/tokenizer_spec.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// What the text of a special token means in a text.
enum class special_tokens {
  recognised,  ///< the special token: for raw prompts
  as_text,     ///< plain text: for text from outside, which must not forge a token
};

/// Options of `tokenizer::encode`.
struct encode_options {
  special_tokens special = special_tokens::recognised;  ///< whether special tokens are recognised
  bool bos = true;  ///< whether to start with the beginning-of-text token, if the tokenizer's file requires it
  /// For a text of which a part is from outside: a special token is recognised at bytes [begin, end) for which
  /// trusted(begin, end) is true, which must hold for every part of such bytes. Empty: everywhere.
  std::function<bool(std::size_t begin, std::size_t end)> trusted = {};
  /// The token before the text, if the text continues another one. Then a tokenizer that puts a space before a text
  /// does so only if that token is an added one.
  std::optional<token_id> after = {};
};

/// A BPE tokenizer, byte-level or of a SentencePiece vocabulary. Several threads may call its `const` members at the
/// same time.
class tokenizer {
 public:
  /// Builds a tokenizer.
  /// @throws io_error if the parts of `spec` do not fit together; the message begins with `spec.source`
  explicit tokenizer(tokenizer_spec spec)
      : spec_(checked_tokenizer_spec(std::move(spec))),
        model_(model_of(spec_)),
        raw_(spec_.added, false),
        normalized_(spec_.added, true, normalizer(spec_)) {
    for (const auto& pattern : spec_.splits) splits_.emplace_back(to_pcre2(pattern));
    bytes_.reserve(spec_.tokens.size());
    for (const auto& token : spec_.tokens)
      bytes_.push_back(spec_.sentencepiece ? sentencepiece::to_bytes(token)
                                           : byte_alphabet::to_bytes(token).value_or(token));
    special_.resize(spec_.tokens.size());
    added_.resize(spec_.tokens.size());
    for (const auto& token : spec_.added) {
      bytes_[static_cast<std::size_t>(token.id)] = bytes_of(token);
      special_[static_cast<std::size_t>(token.id)] = token.special;
      added_[static_cast<std::size_t>(token.id)] = true;
    }
    shared_ = std::make_shared<guarded_workspace>(splits_);
  }

  /// Token ids of `text`.
  /// @throws io_error if `text` is not valid UTF-8 (with the offset of the first bad byte)
  /// @throws error if `options.after` is not in the vocabulary
  std::vector<token_id> encode(std::string_view text, encode_options options = {}) const {
    utf8::require_valid(text, "tokenizer: text to encode");
    std::vector<token_id> out;
    if (options.bos && spec_.first) out.push_back(*spec_.first);
    // One call at a time uses the shared workspace with its cache of words; the others create their own.
    std::unique_lock lock(shared_->mutex, std::try_to_lock);
    std::optional<workspace> own;
    workspace& work = lock ? shared_->work : own.emplace(splits_);
    for (auto& matcher : work.matchers) matcher.begin(text.size());
    const auto special = [&](std::size_t begin, std::size_t end) {
      return options.special == special_tokens::recognised && (!options.trusted || options.trusted(begin, end));
    };
    const text_begin beginning = !options.after || options.after == spec_.first ? text_begin::first
                                 : is_added(*options.after)                     ? text_begin::none
                                                                                : text_begin::continues;
    auto take = [&](const added_token& found) { out.push_back(found.id); };
    auto words = [&](std::string_view piece) { split_words(piece, 0, work, out); };
    raw_.split(
        text, special,
        [&](std::string_view piece) {
          const auto from = std::size_t(piece.data() - text.data());
          const auto within = [&](std::size_t begin, std::size_t end) { return special(from + begin, from + end); };
          if (spec_.sentencepiece)
            return encode_sentencepiece(piece, from == 0 ? beginning : text_begin::none, within, work, out);
          if (!spec_.nfc) return normalized_.split(piece, within, words, take);
          const bool all = special(from, from + piece.size());  // in NFC, bytes are in other places
          normalized_.split(
              to_nfc(piece), [all](std::size_t, std::size_t) { return all; }, words, take);
        },
        take);
    return out;
  }

  /// The text of `ids`. Bytes that are not valid UTF-8 become U+FFFD, one for each maximal invalid sequence.
  /// @param ids token ids
  /// @param skip_special whether to leave out special tokens
  /// @param begins_text whether the ids begin a text: then the space that `encode` puts before a text is left out
  /// @throws error for an id that is not in the vocabulary
  std::string decode(std::span<const token_id> ids, bool skip_special = false, bool begins_text = true) const {
    std::string out;
    for (const token_id id : ids)
      if (std::string_view b = bytes(id); !(skip_special && is_special(id))) out += b;
    out = utf8::repair(out);
    if (begins_text && strips_space() && out.starts_with(' ')) out.erase(0, 1);
    return out;
  }

  /// Whether `decode` leaves out a space at the beginning of a text, because `encode` puts one there.
  bool strips_space() const { return spec_.sentencepiece && spec_.sentencepiece->strips_space; }

  /// The bytes of a token; they need not be whole characters.
  /// @throws error for an id that is not in the vocabulary
  std::string_view bytes(token_id id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= bytes_.size())
      throw error("tokenizer: token " + std::to_string(id) + " is not in the vocabulary of " +
                  std::to_string(bytes_.size()) + " tokens of " + spec_.source);
    return bytes_[static_cast<std::size_t>(id)];
  }

  /// Whether a token is an added one: special, or user-defined. @throws error for an id that is not in the vocabulary
  bool is_added(token_id id) const { return bytes(id), added_[static_cast<std::size_t>(id)]; }

  /// Whether a token is a control token, not text. @throws error for an id that is not in the vocabulary
  bool is_special(token_id id) const { return bytes(id), special_[static_cast<std::size_t>(id)]; }

  /// The special token with this text, if there is one.
  std::optional<token_id> find_special(std::string_view text) const {
    for (const auto& token : spec_.added)
      if (token.special && token.text == text) return token.id;
    return {};
  }

  /// The number of token ids, gaps included.
  std::size_t size() const { return bytes_.size(); }
  /// The beginning-of-text token, if the file names one.
  std::optional<token_id> bos() const { return spec_.bos; }
  /// The end token (of a text or of a turn), if the file names one.
  std::optional<token_id> eos() const { return spec_.eos; }
  /// The tokens that end an answer, in ascending order: `eos()` and others, such as a known end of a turn.
  std::span<const token_id> end_of_generation() const { return spec_.end_of_generation; }
  /// Whether a token ends an answer.
  bool is_end_of_generation(token_id id) const {
    return std::binary_search(spec_.end_of_generation.begin(), spec_.end_of_generation.end(), id);
  }
  /// The definition of the tokenizer.
  const tokenizer_spec& spec() const { return spec_; }

 private:
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  // All that encoding changes. The cache has a maximum size of about 2 MB.
  struct workspace {
    explicit workspace(const std::vector<regex>& splits) {
      for (const auto& split : splits) matchers.emplace_back(split);
    }
    std::vector<regex::matcher> matchers;
    bpe_merges::workspace merging;
    std::unordered_map<std::string, std::vector<token_id>, text_hash, std::equal_to<>> cache;
  };
  struct guarded_workspace {
    explicit guarded_workspace(const std::vector<regex>& splits) : work(splits) {}
    std::mutex mutex;
    workspace work;
  };
  static constexpr std::size_t max_cached_words = 16384, max_cached_size = 32;

  using word_model = std::variant<bpe, sentencepiece_bpe>;

  static word_model model_of(const tokenizer_spec& spec) {
    if (spec.sentencepiece) return sentencepiece_bpe(spec);
    return bpe(spec);
  }

  // What is done to a text before the added tokens with `normalized` are searched.
  static std::function<std::string(std::string_view)> normalizer(const tokenizer_spec& spec) {
    if (spec.nfc) return to_nfc;
    if (spec.sentencepiece && spec.sentencepiece->normalizes)
      return [prefix = spec.sentencepiece->prefix == space_prefix::each_piece](std::string_view text) {
        return sentencepiece::marked_spaces(text, prefix).text();
      };
    return {};
  }

  // An added token is not in the byte alphabet. In a SentencePiece vocabulary its text is what was found for it.
  std::string bytes_of(const added_token& token) const {
    if (!spec_.sentencepiece) return token.text;
    const auto normalize = token.normalized ? normalizer(spec_) : nullptr;
    return sentencepiece::to_bytes(normalize ? normalize(token.text) : token.text);
  }

  // Applies the splits from index `stage` on, then encodes each word.
  void split_words(std::string_view piece, std::size_t stage, workspace& work, std::vector<token_id>& out) const {
    if (piece.empty()) return;
    if (stage == spec_.prefix_space && !piece.starts_with(' ')) [[unlikely]]
      return split_with_space(piece, stage, work, out);
    if (stage == work.matchers.size()) return encode_word(piece, work, out);
    std::size_t done = 0;
    for (std::size_t from = 0; from < piece.size();) {
      const auto match = work.matchers[stage].find(piece, from);
      if (!match) break;
      const auto [begin, end] = *match;
      if (end <= begin) {  // an empty match splits nothing; continue after the next character
        from = std::max(from, end);
        if (from < piece.size()) from += utf8::next(piece.substr(from)).size;
        continue;
      }
      split_words(piece.substr(done, begin - done), stage + 1, work, out);
      split_words(piece.substr(begin, end - begin), stage + 1, work, out);
      from = done = end;
    }
    split_words(piece.substr(done), stage + 1, work, out);
  }

  // Separate from `split_words`, which runs for each word, to keep that small.
  void split_with_space(std::string_view piece, std::size_t stage, workspace& work, std::vector<token_id>& out) const {
    split_words(std::string(" ").append(piece), stage, work, out);
  }

  // What a piece begins: the text, the text as a continuation of other text, or none of these.
  enum class text_begin { first, continues, none };

  // Encodes a piece behind an added token or at the beginning of the text. `special` is as in
  // `added_token_finder::split`.
  template <class Special>
  void encode_sentencepiece(std::string_view piece, text_begin begin, const Special& special, workspace& work,
                            std::vector<token_id>& out) const {
    const sentencepiece_options& how = *spec_.sentencepiece;
    auto take = [&](const added_token& found) { out.push_back(found.id); };
    auto words = [&](std::string_view text) {
      // Words are found in the cache, a whole text is not.
      if (!how.splits_words && !std::get<sentencepiece_bpe>(model_).separates_words())
        return encode_word(text, work, out);
      sentencepiece::split_words(text, !how.splits_words, [&](std::string_view word) { encode_word(word, work, out); });
    };
    const auto gets_space = [&](std::string_view plain) {
      const text_begin here = plain.data() == piece.data() ? begin : text_begin::none;
      return here != text_begin::continues && sentencepiece::needs_prefix(plain, how.prefix, here == text_begin::first);
    };
    if (how.normalizes) {
      const sentencepiece::marked_spaces marked(piece, gets_space(piece));
      const auto special_there = [&](std::size_t from, std::size_t to) {
        const auto [raw_from, raw_to] = marked.raw_range(from, to);
        return special(raw_from, raw_to);
      };
      return normalized_.split(marked.text(), special_there, words, take);
    }
    normalized_.split(
        piece, special,
        [&](std::string_view plain) { words(sentencepiece::marked_spaces(plain, gets_space(plain)).text()); }, take);
  }

  void encode_word(std::string_view word, workspace& work, std::vector<token_id>& out) const {
    if (word.size() > max_cached_size) return merge_word(word, work, out);
    if (const auto found = work.cache.find(word); found != work.cache.end()) {
      out.insert(out.end(), found->second.begin(), found->second.end());
      return;
    }
    const auto before = static_cast<std::ptrdiff_t>(out.size());
    merge_word(word, work, out);
    if (work.cache.size() < max_cached_words)
      work.cache.emplace(word, std::vector<token_id>(out.begin() + before, out.end()));
  }

  void merge_word(std::string_view word, workspace& work, std::vector<token_id>& out) const {
    std::visit([&](const auto& model) { model.encode(word, out, work.merging); }, model_);
  }

  tokenizer_spec spec_;
  word_model model_;
  added_token_finder raw_, normalized_;
  std::vector<regex> splits_;
  std::vector<std::string> bytes_;
  std::vector<bool> special_, added_;
  std::shared_ptr<guarded_workspace> shared_;
};

}  // namespace iapt
