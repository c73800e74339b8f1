// SPDX-License-Identifier: Apache-2.0
// The escapes of Python's string literals.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "iapt/jinja/error.hpp"
#include "iapt/text/utf8.hpp"

namespace iapt::jinja::detail {

// Reads a number of `most` digits or fewer at `at`, which moves behind it; returns the count of digits.
inline std::size_t read_code(std::string_view t, std::size_t& at, std::size_t most, char32_t base, char32_t& code) {
  constexpr std::string_view digits = "0123456789abcdef0123456789ABCDEF";
  std::size_t count = 0;
  for (code = 0; count < most && at < t.size(); ++count, ++at) {
    const std::size_t digit = digits.find(t[at]);
    if (digit == digits.npos || digit % 16 >= base) break;
    code = code * base + static_cast<char32_t>(digit % 16);
  }
  return count;
}

// The value of a literal. `inside` stands between its quotes, and no backslash is its last character.
inline std::string unescaped(std::string_view inside) {
  constexpr std::string_view from = "\\'\"abfnrtv", to = "\\'\"\a\b\f\n\r\t\v";
  std::string out;
  for (std::size_t at = 0; at < inside.size();) {
    if (inside[at] != '\\') {
      out += inside[at++];
      continue;
    }
    const char c = inside[at + 1];
    at += 2;
    const std::size_t hexadecimal = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    char32_t code = 0;
    if (const auto simple = from.find(c); simple != from.npos) {
      out += to[simple];
    } else if (hexadecimal || (c >= '0' && c <= '7')) {
      if (!hexadecimal) --at;
      if (read_code(inside, at, hexadecimal ? hexadecimal : 3, hexadecimal ? 16 : 8, code) < hexadecimal)
        throw refusal(std::string("the escape \\") + c + " needs " + std::to_string(hexadecimal) +
                      " hexadecimal digits");
      if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) throw refusal("an escape is not a Unicode character");
      utf8::append(out, code);
    } else if (c == 'N' || static_cast<unsigned char>(c) >= 0x80) {
      throw refusal("the escape \\N, or a backslash before a character that is not ASCII, is not supported");
    } else if (c != '\n') {
      out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace iapt::jinja::detail
