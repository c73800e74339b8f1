#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# In SmolLM3's configuration, no_rope_layers lists the layers that have RoPE.
#
# Versions: transformers 5.24.0, Python 3.11.
#
# Behaviour: config.json of the family smollm3 has "no_rope_layers", a number for each layer. A layer with 1 there has
# rotary positions and a layer with 0 has none: the attention copies the number into its member use_rope. By default
# every fourth layer has 0 (no_rope_layer_interval). A reader that goes by the key's name swaps the two kinds of layers:
# nine of SmolLM3-3B's 36 layers would keep their positions, and the other 27 lose theirs.
#
# Seen: "use_rope = config.no_rope_layers[layer_idx]; default of four layers: 1 1 1 0".
#
# Installs the package without its dependencies in a temporary folder, reads its source, and fails if it says otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile --no-deps transformers==5.24.0
"$folder/venv/bin/python" - <<'PYTHON'
import ast
import importlib.util
import pathlib

folder = pathlib.Path(importlib.util.find_spec("transformers").origin).parent / "models" / "smollm3"
use = next(ast.unparse(node.value) for node in ast.walk(ast.parse((folder / "modeling_smollm3.py").read_text()))
           if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "self.use_rope")
default = next(node.value for node in ast.walk(ast.parse((folder / "configuration_smollm3.py").read_text()))
               if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "self.no_rope_layers"
               and isinstance(node.value, ast.ListComp))


class Four:
    num_hidden_layers, no_rope_layer_interval = 4, 4


layers = eval(compile(ast.Expression(default), "default", "eval"), {"self": Four})
seen = f"use_rope = {use}; default of four layers: {' '.join(map(str, layers))}"
print(seen)
assert seen == "use_rope = config.no_rope_layers[layer_idx]; default of four layers: 1 1 1 0", "the behaviour changed"
PYTHON
