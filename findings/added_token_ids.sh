#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tokenizers gives added tokens other ids than tokenizer.json says, and two tokens one id.
#
# Versions: tokenizers 0.23.3, Python 3.11.
#
# Behaviour: the "id" of an entry of "added_tokens" counts for nothing. A token that the model's vocabulary has keeps its
# id there. Each other one gets, in the order of the file, the size of the vocabulary plus the number of new tokens
# before it; whether that id is taken is not asked. So a file whose special tokens have the first ids, and stand in
# "added_tokens" alone, gives them the ids of the last words: the text of a word is then read as a special token by the
# model, and the id is decoded as the special token. The right ids are those of the file, with which the model was
# trained; nothing tells that others are given.
#
# Seen: "far ids: {'<x>': 4, '<y>': 5}, first ids: {'<x>': 3, '<y>': 4}, and the words d, e have 3, 4; 3 is <x>".
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


def ids(words, texts):
    return {text: words.token_to_id(text) for text in texts}


far = ids(tokenizer({"a": 0, "b": 1, "c": 2, "d": 3}, {"<x>": 900, "<y>": 1}), ["<x>", "<y>"])
words = tokenizer({"c": 2, "d": 3, "e": 4}, {"<x>": 0, "<y>": 1})
first, taken = ids(words, ["<x>", "<y>"]), words.encode("de").ids
print(f"far ids: {far}, first ids: {first}, and the words d, e have {taken[0]}, {taken[1]}; {taken[0]} is "
      f"{words.decode(taken[:1], skip_special_tokens=False)}")
seen = (far, first, taken, words.decode(taken[:1], skip_special_tokens=False))
if seen != ({"<x>": 4, "<y>": 5}, {"<x>": 3, "<y>": 4}, [3, 4], "<x>"):
    raise SystemExit("the behaviour has changed")
PYTHON
