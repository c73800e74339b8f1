// SPDX-License-Identifier: Apache-2.0
// White space, and letters and numbers that Unicode added after version 14, for regular expression libraries that do
// not have them yet.
#pragma once
#include <string_view>

namespace iapt::unicode_ranges {

// Hugging Face's `tokenizers` 0.23 matches \p{..} with Unicode 16 (Oniguruma) and Digits with Unicode 17 (Rust's
// `char`). PCRE2 10.42 has Unicode 14. Each string is the inside of a PCRE2 class; a newer PCRE2 has these characters
// anyway. tests/text/tokenizer.cpp checks the union for every code point.

/// Letters (L) of Unicode 15 and 16.
inline constexpr std::string_view letters =
    R"(\x{1C89}\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65}\x{10D6F}-\x{10D85})"
    R"(\x{10EC2}-\x{10EC4}\x{1123F}\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5}\x{113B7}\x{113D1})"
    R"(\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446})"
    R"(\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A})"
    R"(\x{1E030}-\x{1E06D}\x{1E4D0}-\x{1E4EB}\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D})"
    R"(\x{31350}-\x{323AF})";

/// Numbers (N) of Unicode 15 and 16.
inline constexpr std::string_view numbers =
    R"(\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59}\x{16130}-\x{16139})"
    R"(\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";

/// Numbers (N) of Unicode 17 that version 16 lacks.
inline constexpr std::string_view numbers_17 = R"(\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6})";

/// Whether a character has Unicode's property White_Space.
constexpr bool is_white_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace iapt::unicode_ranges
