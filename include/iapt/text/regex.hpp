// SPDX-License-Identifier: Apache-2.0
// Regular expressions over UTF-8: PCRE2 with the meaning that Oniguruma, which Hugging Face uses, gives the pattern.
#pragma once
#ifndef PCRE2_CODE_UNIT_WIDTH
/// Bits of a code unit in what `<pcre2.h>` declares: 8, for UTF-8.
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "iapt/core/error.hpp"
#include "iapt/text/unicode_ranges.hpp"

namespace iapt {

/// Rewrites a pattern of a tokenizer file so that PCRE2 matches what Oniguruma would. `\s` becomes the Unicode property
/// White_Space (PCRE2's own `\s` also has U+180E), `\p{L}` and `\p{N}` gain the characters of newer Unicode versions.
/// @throws io_error for constructs whose meaning differs between the two and that no known tokenizer uses
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

/// A compiled pattern. Copies share the compiled form; matching is safe from several threads.
class regex {
 public:
  /// Compiles a PCRE2 pattern (UTF-8, just-in-time where the machine has it).
  /// @throws io_error with the position and PCRE2's reason
  explicit regex(std::string pattern) : pattern_(std::move(pattern)) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    code_ = {pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern_.data()), pattern_.size(),
                           PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr),
             pcre2_code_free};
    if (!code_) throw io_error(complaint(code, "byte " + std::to_string(offset)));
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // without it the interpreter matches, only slower
    context_ = {pcre2_match_context_create(nullptr), pcre2_match_context_free};
    if (!context_) throw std::bad_alloc();
    // A hostile pattern may need exponential time; no known one comes near this limit.
    pcre2_set_match_limit(context_.get(), 1'000'000);
  }

  /// Finds matches in one text after the other without allocating for each. Not shared between threads.
  class matcher {
   public:
    /// Works on `expression`, which it keeps alive.
    explicit matcher(const regex& expression)
        : code_(expression.code_),
          context_(expression.context_),
          data_(pcre2_match_data_create(1, nullptr), pcre2_match_data_free) {
      if (!data_) throw std::bad_alloc();
    }

    /// The first match at or after `from`, as [begin, end) in `text`. `text` is valid UTF-8.
    /// @throws io_error when the pattern needs too many steps on this text
    std::optional<std::array<std::size_t, 2>> find(std::string_view text, std::size_t from) {
      const int count = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                    PCRE2_NO_UTF_CHECK, data_.get(), context_.get());
      if (count == PCRE2_ERROR_NOMATCH) return {};
      if (count < 0) throw io_error(complaint(count, "matching from byte " + std::to_string(from)));
      const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data_.get());
      return std::array{std::size_t{span[0]}, std::size_t{span[1]}};
    }

   private:
    std::shared_ptr<pcre2_code> code_;
    std::shared_ptr<pcre2_match_context> context_;
    std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data_;
  };

 private:
  static std::string complaint(int code, const std::string& where) {
    std::array<PCRE2_UCHAR, 160> reason{};
    pcre2_get_error_message(code, reason.data(), reason.size());
    return "regular expression of the tokenizer: " + where + ": " + reinterpret_cast<const char*>(reason.data());
  }

  std::string pattern_;
  std::shared_ptr<pcre2_code> code_;
  std::shared_ptr<pcre2_match_context> context_;
};

}  // namespace iapt
