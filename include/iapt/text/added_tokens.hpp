// SPDX-License-Identifier: Apache-2.0
// Finds special and user-defined tokens in raw text.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/text/regex.hpp"
#include "iapt/text/tokenizer_spec.hpp"
#include "iapt/text/unicode_ranges.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// Finds the added tokens in a text: the leftmost one, and of those that begin there the longest, as Hugging Face's
/// tokenizers do.
class added_token_finder {
 public:
  /// Searches for those of `tokens` whose `normalized` flag is `normalized`.
  /// @param tokens all added tokens
  /// @param normalized which of them
  /// @param normalize what was done to the searched text, and is done to the tokens' texts, too; empty: nothing
  added_token_finder(const std::vector<added_token>& tokens, bool normalized,
                     const std::function<std::string(std::string_view)>& normalize = {}) {
    for (const auto& t : tokens) {
      if (t.normalized != normalized || t.text.empty()) continue;
      tokens_.push_back(t);
      if (normalize) tokens_.back().text = normalize(t.text);
    }
    // A stable order, so that the later of two entries with the same text counts.
    std::stable_sort(tokens_.begin(), tokens_.end(), [](auto& a, auto& b) { return a.text < b.text; });
    for (const auto& t : tokens_) starts_[static_cast<unsigned char>(t.text[0])] = true;
  }

  /// Splits `text` (valid UTF-8): calls `plain(piece)` for text without tokens and `token(added)` for each token found,
  /// in order. A special token at bytes [begin, end) for which special(begin, end) is false stays plain text, as a
  /// whole.
  template <class Special, class Plain, class Token>
  void split(std::string_view text, Special&& special, Plain&& plain, Token&& token) const {
    std::size_t done = 0;  // end of what the callbacks have received
    for (std::size_t at = 0; at < text.size();) {
      const added_token* found = longest(text.substr(at));
      // The beginning of one that is not recognised as a whole may be a token.
      while (found && found->special && special(at, at + 1) && !special(at, at + found->text.size()))
        found = longest(text.substr(at, found->text.size() - 1));
      if (!found) {
        ++at;
        continue;
      }
      std::size_t begin = at, end = at + found->text.size();
      if (found->special && !special(begin, end)) {
        at = special(end - 1, end) ? at + 1 : end;  // a token that is one may begin within
        continue;
      }
      at = end;
      if (found->single_word && (ends_in_word(text.substr(0, begin)) || starts_in_word(text.substr(end)))) continue;
      if (found->lstrip && done < begin) begin -= space_at_end(text.substr(done, begin - done));
      if (found->rstrip) end += space_at_start(text.substr(end));
      if (done < begin) plain(text.substr(done, begin - done));
      token(*found);
      done = end;
    }
    if (done < text.size()) plain(text.substr(done));
  }

 private:
  // Narrows the sorted range of candidates byte by byte. The last complete candidate is the longest.
  const added_token* longest(std::string_view text) const {
    if (!starts_[static_cast<unsigned char>(text[0])]) return nullptr;
    const added_token* found = nullptr;
    auto low = tokens_.begin(), high = tokens_.end();
    for (std::size_t depth = 0; depth < text.size() && low != high; ++depth) {
      auto key = [&](const added_token& t) {  // -1: the text has ended before
        return depth < t.text.size() ? static_cast<unsigned char>(t.text[depth]) : -1;
      };
      const int byte = static_cast<unsigned char>(text[depth]);
      low = std::partition_point(low, high, [&](const added_token& t) { return key(t) < byte; });
      high = std::partition_point(low, high, [&](const added_token& t) { return key(t) <= byte; });
      for (auto t = low; t != high && t->text.size() == depth + 1; ++t) found = &*t;
    }
    return found;
  }

  // Rust's \w as a PCRE2 class, because PCRE2's \w differs.
  static bool is_word(std::string_view character) {
    static const regex word(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])");
    return regex::matcher(word).find(character, 0).has_value();
  }
  static bool ends_in_word(std::string_view text) { return is_word(text.substr(utf8::last_begin(text))); }
  static bool starts_in_word(std::string_view text) {
    return !text.empty() && is_word(text.substr(0, utf8::next(text).size));
  }

  // Number of bytes of white space (Rust's \s) at an end of a text.
  static std::size_t space_at_end(std::string_view text) {
    std::size_t begin = text.size();
    while (begin > 0) {
      const std::size_t last = utf8::last_begin(text.substr(0, begin));
      if (!unicode_ranges::is_white_space(utf8::next(text.substr(last)).code_point)) break;
      begin = last;
    }
    return text.size() - begin;
  }
  static std::size_t space_at_start(std::string_view text) {
    std::size_t size = 0;
    while (size < text.size()) {
      const utf8::step s = utf8::next(text.substr(size));
      if (!unicode_ranges::is_white_space(s.code_point)) break;
      size += s.size;
    }
    return size;
  }

  std::vector<added_token> tokens_;
  std::vector<bool> starts_ = std::vector<bool>(256);
};

}  // namespace iapt
