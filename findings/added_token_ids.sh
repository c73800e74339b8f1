#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tokenizers gives added tokens other ids than tokenizer.json says.
#
# Versions: tokenizers 0.23.3, Python 3.11.
#
# Behaviour: the "id" of an entry of "added_tokens" counts for nothing. A token that the model's vocabulary has keeps its
# id there. Each other one gets, in the order of the file, the size of the vocabulary plus the number of new tokens
# before it. One would expect the ids of the file, which is what other readers of it take; nothing tells that others are
# given.
#
# Seen: "ids in the file: {'<x>': 900, '<y>': 10}, ids given: {'<x>': 4, '<y>': 5}".
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

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def tokenizer(vocabulary, added):
    tokens = [{"id": id, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
               "special": True} for text, id in added.items()]
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "added_tokens": tokens, "normalizer": None, "pre_tokenizer": BYTES, "post_processor": None,
        "decoder": BYTES, "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}))


in_file = {"<x>": 900, "<y>": 10}
words = tokenizer({"a": 0, "b": 1, "c": 2, "d": 3}, in_file)
given = {text: words.token_to_id(text) for text in in_file}
print(f"ids in the file: {in_file}, ids given: {given}")
if given != {"<x>": 4, "<y>": 5}:
    raise SystemExit("the behaviour has changed")
PYTHON
