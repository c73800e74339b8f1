// SPDX-License-Identifier: Apache-2.0
// Regular expressions over UTF-8: PCRE2 with the semantics of Oniguruma, which Hugging Face uses.
#pragma once
#ifndef PCRE2_CODE_UNIT_WIDTH
/// Bits of a code unit for `<pcre2.h>`: 8, for UTF-8.
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/core/error.hpp"
#include "iapt/text/unicode_ranges.hpp"

namespace iapt {

/// Rewrites a pattern of a tokenizer file so that PCRE2 matches as Oniguruma does. `\s` becomes the Unicode property
/// White_Space (PCRE2's own `\s` also matches U+180E); `\p{L}` and `\p{N}` also match the characters of newer Unicode
/// versions.
/// @throws io_error for constructs that differ between the two and that no known tokenizer uses
inline std::string to_pcre2(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  auto refuse = [&](std::string_view what, std::size_t at) {
    throw io_error("regular expression \"" + std::string(pattern) + "\": " + std::string(what) + " at byte " +
                   std::to_string(at) + " is not supported; this library reads the patterns of GPT-2, Llama 3 and " +
                   "Qwen2 style tokenizers");
  };
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      if (i + 1 == pattern.size()) refuse("a backslash without a character", i);
      const std::string_view rest = pattern.substr(i);
      const char escaped = pattern[i + 1];
      auto category = [&](std::string_view extra) {
        out += (in_class ? "" : "[") + std::string(rest.substr(0, 5)) + std::string(extra) + (in_class ? "" : "]");
        i += 4;
      };
      if (rest.starts_with("\\p{L}")) {
        category(unicode_ranges::letters);
      } else if (rest.starts_with("\\p{N}")) {
        category(unicode_ranges::numbers);
      } else if (rest.starts_with("\\P{L}") || rest.starts_with("\\P{N}")) {
        if (in_class) refuse("a negated category in a class", i);
        out += "[^\\p" + std::string(rest.substr(2, 3)) +
               std::string(rest[3] == 'L' ? unicode_ranges::letters : unicode_ranges::numbers) + "]";
        i += 4;
      } else if (escaped == 's' || escaped == 'S') {
        out += escaped == 's' ? "\\p{White_Space}" : "\\P{White_Space}";
        ++i;
      } else if (std::string_view("wWdDbBhHRXkgzZAGKQEcCN0123456789").find(escaped) != std::string_view::npos) {
        refuse("the escape \\" + std::string(1, escaped), i);
      } else {
        out += rest.substr(0, 2);
        ++i;
      }
    } else if (in_class) {
      if (c == '[') refuse("a class inside a class", i);
      if (c == '&' && pattern.substr(i).starts_with("&&")) refuse("an intersection of classes", i);
      if (c == ']' && (pattern[i - 1] == '[' || pattern.substr(0, i).ends_with("[^"))) refuse("an empty class", i);
      in_class = c != ']';
      out += c;
    } else {
      if (c == '(' && pattern.substr(i).starts_with("(*")) refuse("(*", i);
      if (c == '.' || c == '^' || c == '$') refuse(std::string("'") + c + "'", i);
      if (c == '}' && pattern.substr(i).starts_with("}+")) refuse("'+' behind a counted repetition", i);
      in_class = c == '[';
      out += c;
    }
  }
  return out;
}

/// A compiled pattern. Copies have the same compiled form. Several threads may match at the same time.
class regex {
 public:
  /// Compiles a PCRE2 pattern (UTF-8, just-in-time if the CPU is supported).
  /// @throws io_error with the position and PCRE2's reason
  explicit regex(std::string pattern) : pattern_(std::move(pattern)) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    code_ = {pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern_.data()), pattern_.size(),
                           PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT, &code, &offset, nullptr),
             pcre2_code_free};
    if (!code_) throw io_error(complaint(code, "byte " + std::to_string(offset)));
    // If this fails, the interpreter matches more slowly.
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
  }

  /// Finds matches in one text after another without an allocation for each. For one thread.
  ///
  /// Its time is linear in the text for every pattern: it searches in a window of the text, which grows only if an
  /// attempt reaches its end. The window limits the steps of an attempt, and the text limits how much windows grow.
  class matcher {
   public:
    /// Uses `expression`, and keeps it alive.
    explicit matcher(const regex& expression)
        : code_(expression.code_),
          data_(pcre2_match_data_create(1, nullptr), pcre2_match_data_free),
          quick_(pcre2_match_context_create(nullptr), pcre2_match_context_free),
          patient_(pcre2_match_context_create(nullptr), pcre2_match_context_free) {
      if (!data_ || !quick_ || !patient_) throw std::bad_alloc();
      pcre2_set_match_limit(quick_.get(), steps(quick_window));
    }

    /// Starts a text of `size` bytes, which may be passed in pieces.
    void begin(std::size_t size) { allowance_ = 16 * (size + quick_window); }

    /// The first match at or after `from`, as [begin, end) in `text`. `text` is valid UTF-8.
    /// @throws io_error if the pattern needs too many steps on this text
    std::optional<std::array<std::size_t, 2>> find(std::string_view text, std::size_t from) {
      while (true) {
        const std::size_t end = window_end(text, from, quick_window);
        int count = match(text, from, end, *quick_);
        if (count == PCRE2_ERROR_NOMATCH) {
          if (end == text.size()) return {};
          from = end;
          continue;
        }
        if (count == PCRE2_ERROR_PARTIAL) {
          from = span()[0];
          count = match_at(text, from);
          if (count == PCRE2_ERROR_NOMATCH) {
            from = window_end(text, from, 1);
            continue;
          }
        }
        if (count < 0) throw io_error(complaint(count, "matching from byte " + std::to_string(from)));
        return span();
      }
    }

   private:
    static constexpr std::size_t quick_window = 1024;

    std::array<std::size_t, 2> span() const {
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data_.get());
      return {ends[0], ends[1]};
    }

    // The end of a window of at least `size` bytes that ends with a whole character.
    static std::size_t window_end(std::string_view text, std::size_t from, std::size_t size) {
      if (text.size() - from <= size) return text.size();
      std::size_t end = from + size;
      while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
      return end;
    }

    // Searches for a match that begins at `from`, in a window that grows until it is large enough.
    int match_at(std::string_view text, std::size_t from) {
      for (std::size_t window = 4 * quick_window;; window *= 4) {
        const std::size_t end = window_end(text, from, window);
        if (end - from > allowance_) return PCRE2_ERROR_MATCHLIMIT;
        allowance_ -= end - from;
        pcre2_set_match_limit(patient_.get(), steps(end - from));
        pcre2_set_offset_limit(patient_.get(), from);
        if (const int count = match(text, from, end, *patient_); count != PCRE2_ERROR_PARTIAL) return count;
      }
    }

    // Number of steps that an attempt may take in a window.
    static std::uint32_t steps(std::size_t window) {
      constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
      return static_cast<std::uint32_t>(std::min(8 * window, most));
    }

    // Searches for a match in [from, end). A match is partial if it depends on the text from `end` on.
    int match(std::string_view text, std::size_t from, std::size_t end, pcre2_match_context& context) {
      const std::uint32_t partial = end == text.size() ? 0 : PCRE2_PARTIAL_HARD;
      return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), end, from,
                         PCRE2_NO_UTF_CHECK | partial, data_.get(), &context);
    }

    std::shared_ptr<pcre2_code> code_;
    std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data_;
    std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> quick_, patient_;
    std::size_t allowance_ = 0;  // bytes that larger windows may still use for this text
  };

 private:
  static std::string complaint(int code, const std::string& where) {
    std::array<PCRE2_UCHAR, 160> reason{};
    pcre2_get_error_message(code, reason.data(), reason.size());
    return "regular expression of the tokenizer: " + where + ": " + reinterpret_cast<const char*>(reason.data());
  }

  std::string pattern_;
  std::shared_ptr<pcre2_code> code_;
};

}  // namespace iapt
