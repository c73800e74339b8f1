#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# PEFT's (IA)³ rescales other modules for each model family.
#
# Versions: peft 0.21.2, Python 3.11.
#
# Behaviour: (IA)³ (Liu et al. 2022) has vectors for keys, values and the feed-forward's inner activations. Without
# target_modules, IA3Config takes them from a table by the model's type. For llama and mistral these are the paper's:
# k_proj, v_proj, down_proj. For qwen2, qwen3, gemma, gemma2, gemma3_text and llama4 it is q_proj that has a vector in
# the place of k_proj. So the same line of code trains another method on Qwen2 than on Llama, with another number of
# parameters where there are fewer key heads than query heads, and nothing says so.
#
# Seen: "llama: k_proj v_proj down_proj; qwen2: q_proj v_proj down_proj; gemma2: q_proj v_proj down_proj".
#
# Installs the package without its dependencies in a temporary folder, reads the table, and fails if it is another one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile --no-deps peft==0.21.2
"$folder/venv/bin/python" - <<'PYTHON'
import ast
import importlib.util
import pathlib

package = pathlib.Path(importlib.util.find_spec("peft").origin).parent
tree = ast.parse((package / "utils" / "constants.py").read_text())
name = "TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING"
table = next(ast.literal_eval(node.value) for node in tree.body
             if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name)
seen = "; ".join(f"{family}: {' '.join(table[family])}" for family in ("llama", "qwen2", "gemma2"))
print(seen)
assert seen == ("llama: k_proj v_proj down_proj; qwen2: q_proj v_proj down_proj; "
                "gemma2: q_proj v_proj down_proj"), "the behaviour changed"
PYTHON
