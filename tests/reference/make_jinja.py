#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Jinja2 makes of small templates, with the settings of transformers: writes tests/data/jinja.json.

Usage: make_jinja.py OUTPUT      (needs jinja2 3.1.6)

    {"versions": {...}, "variables": {...}, "case": {"characters": ..., "upper": ..., "lower": ..., "title": ...},
     "cases": [{"template": ..., "text": ...} | {..., "raised": message} | {..., "refused": why}]}

Every template sees the same variables.
"""
import json
import sys

import jinja2

from jinja_oracle import environment, outcome
from jinja_snippets import CASED, REFUSED_HERE, TEMPLATES, VARIABLES


def main():
    env = environment()
    env.globals.pop("lipsum")  # a toy that no chat template uses
    cases = [{"template": template, **outcome(env, template, VARIABLES)} for template in dict.fromkeys(TEMPLATES)]
    for case in cases:
        if " at 0x" in case.get("text", ""):
            case["refused"] = "it prints an address"
        elif case["template"] in REFUSED_HERE:
            case["refused"] = "it is not supported"
        if "refused" in case:
            case.pop("text", None)
    characters = [chr(c) for low, high in CASED for c in range(low, high)]
    case = {"characters": "".join(characters), "upper": "".join(c.upper() for c in characters),
            "lower": "".join(c.lower() for c in characters), "title": "".join(c.title() for c in characters)}
    document = {"versions": {"jinja2": jinja2.__version__}, "variables": VARIABLES, "case": case,
                "cases": cases}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=True, indent=0)
        file.write("\n")
    print(len(cases), "templates,", sum("refused" in c for c in cases), "of them refused")


if __name__ == "__main__":
    main()
