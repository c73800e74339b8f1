#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# AutoTokenizer reads tokens of a qwen2 folder's tokenizer.json as letters.
#
# Versions: transformers 5.24.0, tokenizers 0.23.3, Python 3.11.
#
# Behaviour: where config.json says "model_type": "qwen2", the class is Qwen2Tokenizer, whatever "tokenizer_class" says.
# It takes the vocabulary and the merges of tokenizer.json, not the rest. If tokenizer_config.json has
# "added_tokens_decoder", a token that stands in tokenizer.json's "added_tokens" alone is no token any more, its text is
# read as letters, and the tokens behind it get other ids. The end token, where the files name none, is <|endoftext|>,
# which is added if it is not there. The same folder as "llama" has all tokens and no end. The right ids are those of
# tokenizer.json, as `tokenizers` gives them.
#
# Seen: "llama: <x> [4], <y> [5], end None; qwen2: <x> [], <y> [4], end 5".
#
# Installs the packages in a temporary folder, runs them there, and fails if the behaviour is another one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile transformers==5.24.0 tokenizers==0.23.3
cd "$folder"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import json
import pathlib

from transformers import AutoTokenizer

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def token(text):
    return {"content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True}


def tokenizer(family):
    folder = pathlib.Path(family)
    folder.mkdir()
    files = {
        "config.json": {"model_type": family},
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast",
                                  "added_tokens_decoder": {"5": token("<y>")}},
        "tokenizer.json": {
            "version": "1.0", "added_tokens": [{"id": 4, **token("<x>")}, {"id": 5, **token("<y>")}],
            "normalizer": None, "pre_tokenizer": BYTES, "post_processor": None, "decoder": BYTES,
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3}, "merges": []}}}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return AutoTokenizer.from_pretrained(folder)


def seen(family):
    words = tokenizer(family)
    return words.encode("<x>"), words.encode("<y>"), words.eos_token_id


llama, qwen2 = seen("llama"), seen("qwen2")
print("; ".join(f"{name}: <x> {x}, <y> {y}, end {end}" for name, (x, y, end) in (("llama", llama), ("qwen2", qwen2))))
if (llama, qwen2) != (([4], [5], None), ([], [4], 5)):
    raise SystemExit("the behaviour has changed")
PYTHON
