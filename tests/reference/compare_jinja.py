#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares chat templates of a folder, rendered by Jinja2 and by this library, over many conversations.

Usage: compare_jinja.py --templates FOLDER --program PATH [--verbose]      (needs jinja2 3.1.6)

PATH is tests/support/render_template.cpp, compiled:
g++ -std=c++20 -O2 -Iinclude -Itests tests/support/render_template.cpp -lutf8proc -o PATH A template is right if it gives the same text, or the same message
of raise_exception, or a refusal where Jinja2 fails in any other way. The program ends with 1 if one is not.
"""
import argparse
import copy
import itertools
import json
import pathlib
import subprocess
import sys

from jinja_oracle import environment, outcome

ODD = "a \"quoted\" 'text'\nwith\ttabs, \\n, <|im_end|>\n<|im_start|>system\n</s>[/INST] & <b>, \U0001F600 \u00e9\u00df \u65e5\u672c\u8a9e \u0627\u0644\u0639\u0631\u0628\u064a\u0629 {{ x }} {% y %}"
TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Get the \"weather\" of a city.\nNow.",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "The city's name"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": ["integer", "null"], "minimum": 1},
            "places": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}}}},
            "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "The time",
                                      "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "nested", "description": "A tool with a deep schema", "parameters": {
        "type": "object", "$defs": {"p": {"type": "string"}}, "additionalProperties": False, "properties": {
            "who": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "a|b"},
            "any": {"$ref": "#/$defs/p"},
            "map": {"type": "object", "additionalProperties": {"type": "string"}, "nullable": True},
            "list": {"type": "array", "items": {"type": "string"}, "minItems": 1}}, "required": ["who", "list"]},
        "strict": True, "return": {"type": "string"}}},
]


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


def calls(arguments, *names):
    return [{"id": f"call_{i}abcdef"[:9], "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, name in enumerate(names)]


def conversations():
    """Messages by name. Those with tools end in _tools."""
    arguments = {"city": "Z\u00fcrich \"x\"", "days": 3, "ratio": 1.5, "flag": True, "none": None,
                 "places": [{"x": 1}, {"x": 2.0}], "map": {"a": "b"}}
    turns = [user("Hi"), assistant("Hello!"), user("How are you?"), assistant("Fine.\n"), user("  Good.  ")]
    result = {"role": "tool", "tool_call_id": "call_0abc", "name": "get_weather", "content": "{\"t\": 21.5}"}
    yield "user", [user("Hello")]
    yield "system", [system("Be short."), user("Hello")]
    yield "turns", turns
    yield "system_turns", [system("Be \"short\".\n"), *turns]
    yield "odd", [system(ODD), user(ODD), assistant(ODD), user(ODD)]
    yield "empty", [system(""), user(""), assistant(""), user("")]
    yield "ends_with_answer", [user("Hi"), assistant("Hello!")]
    yield "two_users", [user("a"), user("b")]
    yield "starts_with_answer", [assistant("Hello!"), user("Hi")]
    yield "late_system", [user("Hi"), system("Be short."), user("Hello")]
    yield "developer", [{"role": "developer", "content": "Be short."}, user("Hello")]
    yield "unknown_role", [{"role": "judge", "content": "Order!"}, user("Hello")]
    yield "parts", [system("Be short."), user(parts("One", "Two")), assistant(parts("Three")), user(parts(ODD))]
    yield "system_parts", [{"role": "system", "content": parts("Be", "short")}, user("Hi")]
    yield "image_parts", [user([{"type": "image"}, {"type": "text", "text": "What is it?"}])]
    yield "none_content", [user("Hi"), assistant(None), user("Hello")]
    yield "none", []
    yield "thinking", [user("1+1?"), assistant("<think>\nSum.\n</think>\n\n2"), user("2+2?")]
    yield "reasoning", [user("1+1?"), assistant("2", reasoning_content="Sum."), user("2+2?"),
                        assistant("4", reasoning_content="")]
    for kind, given in (("dict", arguments), ("json", json.dumps(arguments)), ("empty", {})):
        yield f"call_{kind}_tools", [
            system("Use tools."), user("Weather?"), assistant("", tool_calls=calls(given, "get_weather")), result,
            assistant("It is warm."), user("Thanks")]
        yield f"pending_{kind}_tools", [user("Weather?"), assistant(None, tool_calls=calls(given, "get_weather")),
                                        result]
    yield "two_calls_tools", [
        user("Weather?"), assistant("Let me see.", tool_calls=calls(arguments, "get_weather", "now")), result,
        {**result, "tool_call_id": "call_1abc", "name": "now", "content": ODD}]
    yield "call_without_content_tools", [
        user("Weather?"), {"role": "assistant", "tool_calls": calls(arguments, "get_weather")}, result]
    yield "reasoned_call_tools", [
        user("Weather?"), assistant("", reasoning_content="I need\na tool.", tool_calls=calls(arguments, "nested")),
        {**result, "content": parts("a", "b")}, user("And?")]
    yield "unused_tools", [system("Be short."), user("Hi"), assistant("Hello!"), user("Bye")]
    yield "long_tools", [m for i in range(8) for m in (
        user(f"Question {i} {ODD}"), assistant("", tool_calls=calls({"city": str(i)}, "get_weather")), result,
        assistant(f"Answer {i}"))]


SIMPLE_TOOLS = [TOOLS[0] | {"function": TOOLS[0]["function"] | {"parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "The city's name"},
                                     "days": {"type": "integer", "description": "How many"}}, "required": ["city"]}}}]

SETTINGS = [
    # What some templates ask for by other names; these tools have no schema that makes a macro call itself for ever.
    {"add_generation_prompt": True, "tools": SIMPLE_TOOLS, "functions": json.dumps(SIMPLE_TOOLS), "datetime": "now",
     "custom_tools": SIMPLE_TOOLS, "builtin_tools": ["brave_search"], "reasoning_effort": "high", "add_bos_token": True,
     "documents": [{"title": "A", "text": ODD}], "thinking": True, "preserve_thinking": True},
    {"add_generation_prompt": True},
    {"add_generation_prompt": False, "enable_thinking": True},
    {"add_generation_prompt": True, "enable_thinking": False},
]


def cases():
    """Name and variables of every render. They do not share anything that a template could change."""
    for (name, messages), settings in itertools.product(conversations(), SETTINGS):
        tools = TOOLS if name.endswith("_tools") else None
        yield f"{name}, settings {SETTINGS.index(settings)}", copy.deepcopy(
            {"messages": messages, "tools": tools, "documents": None, "bos_token": "<s>", "eos_token": "</s>",
             "unk_token": "<unk>", "pad_token": "<pad>", **settings})


class Program:
    """The compiled render_template.cpp."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def outcome(self, template, variables):
        self.process.stdin.write(json.dumps({"template": template, "variables": variables}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def fits(expected, found):
    if "refused" in expected:
        return "refused" in found
    key = "text" if "text" in expected else "raised"
    return found.get(key) == expected[key]


def first_difference(expected, found):
    a, b = (o.get("text") for o in (expected, found))
    if a is None or b is None:
        return f"    Jinja2: {str(expected)[:300]}\n    here:   {str(found)[:300]}"
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"    at {at}\n    Jinja2: {a[max(0, at - 60):at + 60]!r}\n    here:   {b[max(0, at - 60):at + 60]!r}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--templates", required=True, type=pathlib.Path)
    arguments.add_argument("--program", required=True)
    arguments.add_argument("--verbose", action="store_true", help="show what is refused, too")
    options = arguments.parse_args()
    env, program = environment(), Program(options.program)
    total = {"same": 0, "raised": 0, "refused": 0, "different": 0}
    slowest = (0, "")
    print(f"{'template':58} {'same':>5} {'raised':>6} {'refused':>7} {'different':>9}")
    for path in sorted(options.templates.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        try:
            template = env.from_string(source)
        except Exception:  # then each render fails
            template = source
        counts, difference = dict.fromkeys(total, 0), None
        for name, variables in cases():
            expected, found = outcome(env, template, variables), program.outcome(source, variables)
            slowest = max(slowest, (found.get("microseconds", 0), f"{path.name}, {name}"))
            if not fits(expected, found):
                counts["different"] += 1
                difference = difference or f"  {name}\n{first_difference(expected, found)}"
                continue
            counts["same" if "text" in expected else next(iter(expected))] += 1
            if options.verbose and "refused" in expected:
                print(f"  {name}: {expected['refused'][:100]!r}; here: {found['refused'][:120]!r}")
        print(f"{path.name:58} {counts['same']:5} {counts['raised']:6} {counts['refused']:7} {counts['different']:9}")
        if difference:
            print(difference)
        for key, count in counts.items():
            total[key] += count
    print(f"{'all':58} {total['same']:5} {total['raised']:6} {total['refused']:7} {total['different']:9}")
    print(f"slowest render: {slowest[0] / 1000:.2f} ms ({slowest[1]})")
    return 1 if total["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
