#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what Hugging Face's `tokenizers` makes of text that is not in NFC, for tests/text/.

Usage: make_nfc.py             writes tests/data/tokens/nfc.json
       make_nfc.py --barriers  prints nfc_barriers of include/iapt/text/nfc.hpp (needs the newest `unicodedata2`)

nfc.json has:
  characters, sequences  hashes (FNV-1a) over the bytes of composed texts that the test makes again
  ids                    sentences with their ids by the variant "qwen2" of small_tokenizer.json, to which
                         "normalized tokens" are added
"""
import json
import sys

import make_tokens
from tokenizers import AddedToken, Tokenizer, normalizers

SENTENCES = [
    "ধন্যবাদ, আমার নাম রহিম।", "அம்மா, நன்றி", "अच्छा लड़का", "Ẹ kú àárọ̀", "за́мок", "ಕನ್ನಡ ಸೊಗಸು", "മലയാളം ഭാഷ",
    "සිංහල භාෂාව", "မြန်မာဘာသာ", "ଓଡ଼ିଆ ଭାଷା", "ɔ̃ ɛ́ tʃʰ", "cafe\u0301 Ko\u0308ln", "a\u0323\u0307 a\u0307\u0323",
    "\u212b \u2126 \u0958 \ufb1d", "\u1112\u1161\u11ab \uac00\u11a7", "\u0301x\x00\u0301", "<|im_end|>\u0301 <tool>\u0301",
    "caf\u00e9> cafe\u0301>\u0301", "<e\u0301> <\u00e9> <e\u0301\u0323>", "\u00c5 A\u030a \u212b",
]
NORMALIZED_TOKENS = ["<e\u0301>", "\u212b"]
# Ranges that the sequences are drawn from: marks, letters that compose, Hangul, and what some tables lack.
POOLS = [(0x20, 0x7E), (0xC0, 0x24F), (0x300, 0x36F), (0x591, 0x5C9), (0x900, 0xDFF), (0xF71, 0xFBC), (0x1000, 0x10FF),
         (0x1100, 0x11FF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x1E00, 0x1FFF), (0x20D0, 0x2130), (0x3040, 0x30FF),
         (0xAC00, 0xD7A3), (0x105C0, 0x105F0), (0x11080, 0x11943), (0x16120, 0x1612F), (0x16D63, 0x16D6A),
         (0x1D150, 0x1D1FF), (0x1E8D0, 0x1E94A), (0x2F800, 0x2FA1D)]


def characters():
    """Each character alone, and between marks of low and high classes; 256 to a text."""
    for start in range(0, 0x40000, 256):  # no character is assigned from there on that composes
        if not 0xD800 <= start < 0xE000:
            yield "".join(f"{c}a{c}\u0334\u0301e\u0345{c}\u0301" for c in map(chr, range(start, start + 256)))


def sequences(count):
    """Random texts of 1 to 16 characters, by Knuth's linear congruential generator."""
    state = 1

    def draw(bound):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (state >> 33) % bound

    for _ in range(count):
        text = ""
        for _ in range(1 + draw(16)):
            first, last = POOLS[draw(len(POOLS))]
            text += chr(first + draw(last - first + 1))
        yield text


def hashed(texts):
    """FNV-1a over the composed texts, a line feed after each."""
    value, compose = 0xCBF29CE484222325, normalizers.NFC().normalize_str
    for text in texts:
        for byte in (compose(text) + "\n").encode():
            value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return f"{value:016x}"


def barriers():
    import unicodedata2 as ucd
    decompose = normalizers.NFD().normalize_str
    found = {0x11A7}
    for code in (c for c in range(0x110000) if not 0xD800 <= c < 0xE000):
        character, parts = chr(code), ucd.decomposition(chr(code))
        if parts and not parts.startswith("<"):
            if decompose(character) != ucd.normalize("NFD", character):
                found |= {code, int(parts.split()[0], 16)}
        elif ucd.combining(character) > 1:
            if decompose(f"a{character}\u0334") != f"a\u0334{character}":
                found.add(code)
        elif ucd.combining(character) == 1 and decompose(f"a\u0345{character}") != f"a{character}\u0345":
            found.add(code)
    ranges = []
    for code in sorted(found):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    print("Unicode", ucd.unidata_version, "-", len(ranges), "ranges")
    print(" ".join(f"{{0x{first:X}, 0x{last:X}}}," for first, last in ranges))


def main():
    document = json.loads((make_tokens.OUT / "small_tokenizer.json").read_text())
    qwen2 = Tokenizer.from_str(json.dumps(make_tokens.merge_patch(document, make_tokens.variants()["qwen2"])))
    qwen2.add_tokens([AddedToken(text, normalized=True) for text in NORMALIZED_TOKENS])
    make_tokens.write("nfc.json", {
        "characters": hashed(characters()), "sequences": hashed(sequences(200000)), "pools": POOLS,
        "normalized tokens": NORMALIZED_TOKENS,
        "ids": [{"text": text, "ids": qwen2.encode(text).ids} for text in SENTENCES]}, indent=1)


if __name__ == "__main__":
    barriers() if sys.argv[1:] == ["--barriers"] else main()
