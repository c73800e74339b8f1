// SPDX-License-Identifier: Apache-2.0
// Stop strings: ends a streamed text where one of them occurs, and shows no part of it.
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

/// Looks for stop strings in a text that comes in pieces, such as those of a `stream_decoder`. The text ends where the
/// first stop string is complete, and before it begins; if several are complete at the same byte, before the longest.
/// So how the text was cut into pieces changes nothing. Text that may be the beginning of a stop string waits until it
/// is known not to be.
/// @par Source Knuth, Morris and Pratt 1977, "Fast pattern matching in strings": time is linear in the text
class stop_matcher {
 public:
  /// Looks for these strings; with none, all text passes.
  /// @throws error if one is empty
  /// @throws io_error if one is not valid UTF-8
  explicit stop_matcher(const std::vector<std::string>& strings) {
    for (const std::string& text : strings) {
      if (text.empty()) throw error("stop: a stop string must not be empty: it would end every text at once");
      utf8::require_valid(text, "stop: a stop string");
      patterns_.emplace_back(text);
    }
  }

  /// Takes a piece of text and returns what can be shown by now, perhaps nothing; nothing once a stop string was met.
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

  /// Whether a stop string was met.
  bool stopped() const { return stopped_; }

  /// Ends the text: what waited, for it has become no stop string. Begins anew.
  std::string finish() {
    stopped_ = false;
    for (pattern& p : patterns_) p.restart();
    return std::exchange(waiting_, {});
  }

 private:
  // One stop string, and how much of it the text ends with.
  class pattern {
   public:
    explicit pattern(const std::string& text) : text_(text), border_(text.size()) {
      for (std::size_t i = 1, k = 0; i < text.size(); ++i) border_[i] = k = longer(k, text[i]);
    }
    // Whether the text that ends with this byte ends with all of the string.
    bool read(char byte) { return (matched_ = longer(matched_, byte)) == text_.size(); }
    std::size_t matched() const { return matched_; }
    std::size_t size() const { return text_.size(); }
    void restart() { matched_ = 0; }

   private:
    // The longest beginning of the string that a text ends with, if it was k bytes before this one.
    std::size_t longer(std::size_t k, char byte) const {
      while (k && text_[k] != byte) k = border_[k - 1];
      return text_[k] == byte ? k + 1 : 0;
    }
    std::string text_;
    std::vector<std::size_t>
        border_;  // of the first i + 1 bytes: their longest proper beginning that is also their end
    std::size_t matched_ = 0;
  };

  std::vector<pattern> patterns_;
  std::string waiting_;
  bool stopped_ = false;
};

}  // namespace iapt
