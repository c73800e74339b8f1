// SPDX-License-Identifier: Apache-2.0
// Stop strings: they end a streamed text, and no part of them is shown.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// Finds stop strings in a text that comes in pieces, such as those of a `stream_decoder`. The text ends before the
/// stop string that is complete first; if several are complete at the same byte, before the longest. So the result does
/// not depend on how the text is cut into pieces. Text that may begin a stop string is held back until it is known not
/// to.
/// @par Source Knuth, Morris and Pratt 1977, "Fast pattern matching in strings": time is linear in the text
class stop_matcher {
 public:
  /// Searches for these strings; if there are none, all text passes.
  /// @throws error if one is empty
  /// @throws io_error if one is not valid UTF-8
  explicit stop_matcher(const std::vector<std::string>& strings) {
    for (const std::string& text : strings) {
      if (text.empty()) throw error("stop: a stop string must not be empty: it would end every text at once");
      utf8::require_valid(text, "stop: a stop string");
      patterns_.emplace_back(text);
    }
  }

  /// Adds a piece of text. Returns what can be shown now, which may be empty; empty after a stop string.
  std::string next(std::string_view piece) {
    for (const char byte : piece) {
      if (stopped_) break;
      waiting_ += byte;
      std::size_t complete = 0;
      for (pattern& p : patterns_)
        if (p.read(byte)) complete = std::max(complete, p.size());
      if (complete) stopped_ = true, waiting_.resize(waiting_.size() - complete);
    }
    std::size_t held = 0;
    if (!stopped_)
      for (const pattern& p : patterns_) held = std::max(held, p.matched());
    std::string shown = waiting_.substr(0, waiting_.size() - held);
    waiting_.erase(0, shown.size());
    return shown;
  }

  /// Whether a stop string was found.
  bool stopped() const { return stopped_; }

  /// Ends the text and returns what was held back, which is no stop string. Resets the matcher.
  std::string finish() {
    stopped_ = false;
    for (pattern& p : patterns_) p.restart();
    return std::exchange(waiting_, {});
  }

 private:
  // One stop string, and how many of its bytes the text ends with.
  class pattern {
   public:
    explicit pattern(const std::string& text) : text_(text), border_(text.size()) {
      for (std::size_t i = 1, k = 0; i < text.size(); ++i) border_[i] = k = longer(k, text[i]);
    }
    // Adds a byte. Returns whether the text now ends with the whole string.
    bool read(char byte) { return (matched_ = longer(matched_, byte)) == text_.size(); }
    std::size_t matched() const { return matched_; }
    std::size_t size() const { return text_.size(); }
    void restart() { matched_ = 0; }

   private:
    // Size of the longest prefix of the string that the text ends with after `byte`, if it was k before.
    std::size_t longer(std::size_t k, char byte) const {
      while (k && text_[k] != byte) k = border_[k - 1];
      return text_[k] == byte ? k + 1 : 0;
    }
    std::string text_;
    std::vector<std::size_t>
        border_;  // size of the longest proper prefix of the first i + 1 bytes that is also a suffix
    std::size_t matched_ = 0;
  };

  std::vector<pattern> patterns_;
  std::string waiting_;
  bool stopped_ = false;
};

}  // namespace iapt
