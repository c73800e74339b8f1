#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes include/iapt/text/nfc_table.hpp: combining classes and the characters that composition (NFC) may change.

Usage: make_nfc_table.py OUT   (needs the package `regex`, whose Unicode tables are newer than Python's own)
"""
import sys

import regex


def main(out):
    changes = regex.compile(r"\p{NFC_QC=No}|\p{NFC_QC=Maybe}")
    classes = {}
    for number in range(1, 255):
        try:
            classes[number] = regex.compile(r"\p{ccc=%d}" % number)
        except regex.error:
            pass  # no character has this class
    combining = regex.compile(r"\P{ccc=0}")
    ranges = []
    for code in range(0x110000):
        character = chr(code)
        if 0xD800 <= code < 0xE000:
            continue
        if changes.match(character):
            value = 255
        elif combining.match(character):
            value = next(number for number, pattern in classes.items() if pattern.match(character))
        else:
            continue
        if ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == value:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, value])
    lines, line = [], "   "
    for first, last, value in ranges:
        entry = f" {{0x{first:X}, 0x{last:X}, {value}}},"
        if len(line) + len(entry) > 120:
            lines.append(line)
            line = "   "
        line += entry
    lines.append(line)
    with open(out, "w") as file:
        file.write(HEAD % len(ranges) + "\n".join(lines) + TAIL)


HEAD = """// SPDX-License-Identifier: Apache-2.0
// Characters that matter to Unicode's composed form (NFC); written by tests/reference/make_nfc_table.py.
#pragma once
#include <array>
#include <cstdint>

namespace iapt {

/// Consecutive characters with one combining class.
struct nfc_range {
  char32_t first;      ///< first character
  char32_t last;       ///< last character
  std::uint8_t value;  ///< canonical combining class, or 255 for characters that composition changes or may change
};

/// Every character that is not simply class 0 and unchanged by composition, in ascending order.
// clang-format off
inline constexpr std::array<nfc_range, %d> nfc_table = {{
"""
TAIL = """
}};
// clang-format on

}  // namespace iapt
"""
if __name__ == "__main__":
    main(sys.argv[1])
