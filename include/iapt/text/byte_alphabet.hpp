// SPDX-License-Identifier: Apache-2.0
// The printable characters in which byte-level vocabularies are written, one for each of the 256 bytes.
#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "iapt/text/utf8.hpp"

namespace iapt::byte_alphabet {

/// The character of each byte. Printable Latin-1 bytes are written as themselves; the other 68, in order, as U+0100 to
/// U+0143, so that a vocabulary file has no control characters and no spaces.
/// @par Source Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2)
inline constexpr std::array<char32_t, 256> characters = [] {
  std::array<char32_t, 256> out{};
  char32_t spare = 0x100;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    out[byte] = printable ? static_cast<char32_t>(byte) : spare++;
  }
  return out;
}();

/// The byte of each character below U+0144; -1 if it has none.
inline constexpr std::array<int, 0x144> bytes = [] {
  std::array<int, 0x144> out{};
  for (auto& b : out) b = -1;
  for (std::size_t byte = 0; byte < 256; ++byte) out[characters[byte]] = static_cast<int>(byte);
  return out;
}();

/// The bytes of a vocabulary entry; none if a character is outside the alphabet. `entry` is UTF-8.
inline std::optional<std::string> to_bytes(std::string_view entry) {
  std::string out;
  for (std::size_t at = 0; at < entry.size();) {
    const utf8::step s = utf8::next(entry.substr(at));
    if (s.kind != utf8::step_kind::complete || s.code_point >= bytes.size() || bytes[s.code_point] < 0) return {};
    out.push_back(static_cast<char>(static_cast<unsigned char>(bytes[s.code_point])));
    at += s.size;
  }
  return out;
}

/// Bytes written in the alphabet: the inverse of `to_bytes`.
inline std::string from_bytes(std::string_view raw) {
  std::string out;
  for (const char c : raw) utf8::append(out, characters[static_cast<unsigned char>(c)]);
  return out;
}

}  // namespace iapt::byte_alphabet
