#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tokenizers does not leave out a special token that is "normalized" when it decodes without special tokens.
#
# Versions: tokenizers 0.23.3, Python 3.11.
#
# Behaviour: where a normalizer changes the text of such a token, as Prepend does in the files of Llama 2 and Mistral,
# decode writes the changed text, and with skip_special_tokens=True it writes it, too. One would expect the text of the
# file, and nothing if special tokens are skipped. This library leaves them out.
#
# Seen: "kept: '<s> x', skipped: '<s> x'".
#
# Installs the package in a temporary folder, runs it there, and fails if the behaviour is another one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile tokenizers==0.23.3
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json

from tokenizers import Tokenizer

SPACE = "\u2581"
words = Tokenizer.from_str(json.dumps({
    "version": "1.0",
    "added_tokens": [{"id": 0, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False,
                      "normalized": True, "special": True}],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": SPACE}, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
    "pre_tokenizer": None, "post_processor": None,
    "decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "vocab": {"<s>": 0, SPACE: 1, "x": 2}, "merges": []}}))
kept, skipped = (words.decode([0, 1, 2], skip_special_tokens=skip) for skip in (False, True))
print(f"kept: {kept!r}, skipped: {skipped!r}")
if (kept, skipped) != ("<s> x", "<s> x"):
    raise SystemExit("the behaviour has changed")
PYTHON
