// SPDX-License-Identifier: Apache-2.0
// UTF-8: one code point at a time, validation with the offset of the first bad byte, and repair with U+FFFD.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "iapt/core/error.hpp"

namespace iapt::utf8 {

/// U+FFFD, which replaces bytes that are not UTF-8.
inline constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// What bytes begin with.
enum class step_kind {
  complete,    ///< a whole code point
  invalid,     ///< bytes that no continuation can make valid
  incomplete,  ///< the start of a code point whose rest is missing at the end of the input
};

/// One step through bytes: their kind and number, and the code point if they are one.
struct step {
  step_kind kind = step_kind::invalid;  ///< kind of the bytes
  std::size_t size = 1;                 ///< number of bytes, at least 1; for invalid bytes the maximal subpart
  char32_t code_point = 0;              ///< only for step_kind::complete
};

/// Reads the step at the start of `text`, which is not empty. Surrogates, overlong forms and values over U+10FFFF are
/// invalid. Invalid bytes are grouped into the Unicode standard's "maximal subparts", so that each group gives one
/// U+FFFD.
constexpr step next(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {step_kind::complete, 1, lead};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // Only the second byte has a range of its own. It excludes overlong forms, surrogates and too large values.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t code_point = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {step_kind::incomplete, i, 0};
    if (byte(i) < (i == 1 ? low : 0x80) || byte(i) > (i == 1 ? high : 0xBF)) return {step_kind::invalid, i, 0};
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
  }
  return {step_kind::complete, length, code_point};
}

/// Index of the first byte of the last character of `text` (valid UTF-8); 0 for an empty text.
constexpr std::size_t last_begin(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && (static_cast<unsigned char>(text[--at]) & 0xC0) == 0x80) continue;
  return at;
}

/// Appends the bytes of a Unicode scalar value.
inline void append(std::string& out, char32_t code_point) {
  auto put = [&](char32_t value) { out.push_back(static_cast<char>(static_cast<unsigned char>(value))); };
  auto tail = [&](int shift) { put(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6), tail(0);
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12), tail(6), tail(0);
  } else {
    put(0xF0 | code_point >> 18), tail(12), tail(6), tail(0);
  }
}

/// The offset of the first byte that is not valid UTF-8, or `npos`.
inline std::size_t find_invalid(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    std::uint64_t bytes = 0;  // eight ASCII characters are checked at once, because most text is ASCII
    if (text.size() - at >= sizeof bytes) {
      std::memcpy(&bytes, text.data() + at, sizeof bytes);
      if ((bytes & 0x8080808080808080u) == 0) {
        at += sizeof bytes;
        continue;
      }
    }
    const step s = next(text.substr(at));
    if (s.kind != step_kind::complete) return at;
    at += s.size;
  }
  return std::string_view::npos;
}

/// Refuses a `text` that is not UTF-8.
/// @throws io_error with the byte offset and `what`, which names the text
inline void require_valid(std::string_view text, std::string_view what) {
  const std::size_t at = find_invalid(text);
  if (at == std::string_view::npos) return;
  constexpr std::string_view hex = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(text[at]);
  throw io_error(std::string(what) + ": byte " + std::to_string(at) + " (0x" + hex[byte >> 4] + hex[byte & 15] +
                 ") is not valid UTF-8; convert the text to UTF-8 first");
}

/// `bytes` as valid UTF-8: each maximal subpart of invalid bytes becomes one U+FFFD, and so does an incomplete end.
inline std::string repair(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const step s = next(bytes.substr(at));
    out.append(s.kind == step_kind::complete ? bytes.substr(at, s.size) : replacement);
    at += s.size;
  }
  return out;
}

}  // namespace iapt::utf8
