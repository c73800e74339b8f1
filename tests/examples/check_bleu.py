#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/bleu.py gives each text to its own prompt, an empty one too."""
import importlib.util
import pathlib
import sys
import tempfile

PROMPTS = ["a", "b", "c"]
CASES = [  # file, what is read
    ("one\n\nthree\n", {"a": "one", "b": "", "c": "three"}),
    ("\ntwo\nthree", {"a": "", "b": "two", "c": "three"}),
    ("one\ntwo\n\n", {"a": "one", "b": "two", "c": ""}),
    ("one\n", {"a": "one"}),
    ("one\rtwo\r\nthree\r\n", {"a": "one\rtwo", "b": "three"}),
    ('{"prompt": "b", "generated": ""}\n\n{"prompt": "a", "generated": "one"}\n', {"a": "one", "b": ""}),
]


def main():
    source = pathlib.Path(sys.argv[1]) / "examples" / "bleu.py"
    spec = importlib.util.spec_from_file_location("bleu", source)
    bleu = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bleu)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "generated.txt"
        for text, expected in CASES:
            path.write_bytes(text.encode())
            found = bleu.read_generated(path, PROMPTS)
            if found != expected:
                raise SystemExit(f"{text!r}: read {found}, expected {expected}")
        path.write_text("one\ntwo\nthree\nfour\n", encoding="utf-8")
        try:
            bleu.read_generated(path, PROMPTS)
        except SystemExit as refusal:
            print(f"{len(CASES)} files; refused as it should be: {refusal}")
        else:
            raise SystemExit("four texts for three prompts were not refused")


if __name__ == "__main__":
    main()
