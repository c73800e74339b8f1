// SPDX-License-Identifier: Apache-2.0
// Unicode's composed form (NFC): a check that text has it already.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"
#include "iapt/text/nfc_table.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt {

/// The offset of the first character that keeps `text` (valid UTF-8) from being NFC for certain, or `npos`. This is the
/// quick check of Unicode Standard Annex 15 with "maybe" counted as no: a text that passes is NFC, while some that are
/// NFC do not pass (a combining accent behind a letter with which it has no composed form).
inline std::size_t find_not_nfc(std::string_view text) {
  std::uint8_t previous = 0;
  for (std::size_t at = 0; at < text.size();) {
    const utf8::step s = utf8::next(text.substr(at));
    std::uint8_t value = 0;
    if (s.code_point >= nfc_table[0].first) {
      const auto range = std::partition_point(nfc_table.begin(), nfc_table.end(),
                                              [&](const nfc_range& r) { return r.last < s.code_point; });
      if (range != nfc_table.end() && range->first <= s.code_point) value = range->value;
    }
    if (value == 255 || (value != 0 && value < previous)) return at;
    previous = value;
    at += s.size;
  }
  return std::string_view::npos;
}

/// Checks that a text which a tokenizer would normalise to NFC needs no change.
/// @throws io_error with the byte offset and `what`, a few words that name the text
inline void require_nfc(std::string_view text, std::string_view what) {
  const std::size_t at = find_not_nfc(text);
  if (at == std::string_view::npos) return;
  throw io_error(std::string(what) + ": this tokenizer works on text in Unicode's composed form (NFC), and the " +
                 "character at byte " + std::to_string(at) + " of \"" +
                 utf8::repair(text.substr(0, std::min<std::size_t>(text.size(), 40))) +
                 "\"... may have to be composed, which this library does not do; normalise the text first " +
                 "(Python: unicodedata.normalize(\"NFC\", text)) and avoid combining marks outside it");
}

}  // namespace iapt
