#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what transformers makes of the files beside a tokenizer.json, for tests/text/tokenizer_config.cpp.

Usage: make_tokenizer_folders.py

into tests/data/tokens/folders.json: cases with the files of a folder, of which tokenizer.json is small_tokenizer.json
with a merge patch, and what AutoTokenizer makes of it: the added tokens with their flags, the beginning and end token,
ids of texts, the chat template. Needs the packages of make_tokens.py.
"""
import json
import pathlib
import tempfile

import make_tokens
from transformers import AutoTokenizer

TEXTS = ["x <new> y<tool>q <|im_end|> z", "two words", " <extra>ab", "<|im_start|> four brow"]
LEFT_OUT = "left out"
FAST = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}


def token(text, special=True, **flags):
    return {"content": text, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
            "special": special, **flags}


def added(id, text, special=True, **flags):
    return {"id": id, **token(text, special, **flags)}


def typed(text, special=True, **flags):
    return {"__type": "AddedToken", **token(text, special, **flags)}


def cases():
    def case(name, patch=None, templates=None, special_tokens_map=None, added_tokens=None, model=None, **config):
        config = {key: value for key, value in {**FAST, **config}.items() if value != LEFT_OUT}
        files = {"tokenizer_config": config, "special_tokens_map": special_tokens_map, "added_tokens": added_tokens,
                 "config": model}
        return {"name": name, "patch": patch or {}, "templates": templates or {},
                "files": {key: value for key, value in files.items() if value is not None}}

    variants = make_tokens.variants()
    begin, decoder = variants["llama3"]["post_processor"], {"2": token("<|im_end|>")}
    yield case("nothing more")
    yield case("add_bos_token without a template", add_bos_token=True, bos_token="<|im_start|>")
    yield case("a template and add_bos_token false", {"post_processor": begin}, add_bos_token=False)
    yield case("a template and another bos_token", {"post_processor": begin}, bos_token="<|im_start|>")
    yield case("add_prefix_space", add_prefix_space=True)
    yield case("add_prefix_space in tokenizer.json",
               {"pre_tokenizer": {**variants["gpt2"]["pre_tokenizer"], "add_prefix_space": True}})
    yield case("add_prefix_space of GPT2Tokenizer", variants["gpt2"], tokenizer_class="GPT2Tokenizer",
               bos_token="<|im_start|>", add_prefix_space=True)
    yield case("add_prefix_space of Qwen2Tokenizer", variants["qwen2"], tokenizer_class="Qwen2Tokenizer",
               add_prefix_space=True)
    yield case("GPT2Tokenizer without add_prefix_space", tokenizer_class="GPT2TokenizerFast",
               bos_token="<|im_start|>", patch={
        "pre_tokenizer": {**variants["gpt2"]["pre_tokenizer"], "add_prefix_space": True}})
    def by_class(name, tokenizer_class=LEFT_OUT, family="llama", class_there=None, patch=None, **config):
        model = {"model_type": family, **({"tokenizer_class": class_there} if class_there else {})}
        gpt2 = family == "llama" and "GPT2Tokenizer" in (tokenizer_class, class_there)
        config = {"eos_token": LEFT_OUT, "pad_token": "<new>", **config}
        return case(name, {**variants["gpt2" if gpt2 else "qwen2"], **(patch or {})}, model=model,
                    tokenizer_class=tokenizer_class, **config)

    yield by_class("names of GPT2Tokenizer", "GPT2Tokenizer")
    yield by_class("names of Qwen2Tokenizer", "Qwen2Tokenizer", pad_token=LEFT_OUT)
    yield by_class("a name of Qwen2Tokenizer with null", "Qwen2TokenizerFast", eos_token=None)
    yield by_class("a name of Qwen2Tokenizer that nothing has", "Qwen2Tokenizer", pad_token="<|endoftext|>",
                   patch={"model": {"vocab": {"<|endoftext|>": None, "<other>": 0}}, "added_tokens": [added(2, "<|im_end|>")]})
    yield by_class("no class in qwen2", family="qwen2")
    yield by_class("no class in qwen3", family="qwen3")
    yield by_class("no class in llama")
    yield by_class("any class in qwen2", "GPT2Tokenizer", "qwen2", add_prefix_space=True)
    yield by_class("any class in mistral", "Qwen2Tokenizer", "mistral", add_prefix_space=True)
    yield by_class("another class in qwen3", "PreTrainedTokenizerFast", "qwen3")
    yield by_class("a class in config.json", class_there="GPT2Tokenizer")
    yield by_class("classes in both files", "Qwen2Tokenizer", class_there="PreTrainedTokenizerFast")
    yield by_class("Qwen2Tokenizer without tokenizer.json's tokens", "Qwen2Tokenizer", added_tokens_decoder={
        "410": token("<new>"), **decoder, "408": token("<extra>", False)})
    yield by_class("Qwen2Tokenizer with tokenizer.json's tokens by their ids", "Qwen2Tokenizer", patch={
        "added_tokens": [added(900, "<new>"), added(2, "<|im_end|>"), added(800, "<extra>"), added(900, "<tool>")]})
    yield by_class("Qwen2Tokenizer's flags of named tokens", "Qwen2Tokenizer", pad_token=typed("<new>", rstrip=True),
                   extra_special_tokens=[typed("<extra>", lstrip=True), "<tool>"])
    yield by_class("GPT2Tokenizer's flags of named tokens", "GPT2Tokenizer", pad_token=typed("<new>", rstrip=True),
                   extra_special_tokens=[typed("<extra>", lstrip=True), "<tool>"])
    yield case("listed tokens, in the order of their ids",
               added_tokens_decoder={"900": token("<new>"), "800": token("<extra>", False, normalized=True)})
    yield case("a listed token with a taken id", added_tokens_decoder={"5": token("<new>")})
    yield case("a listed token with other flags", added_tokens_decoder={"2": token("<|im_end|>", lstrip=True)})
    yield case("a special token listed as none", added_tokens_decoder={"2": token("<|im_end|>", False, rstrip=True)})
    yield case("a listed token of the vocabulary", added_tokens_decoder={"87": token("w", False)})
    yield case("a listed token that is the end", eos_token="<new>",
               added_tokens_decoder={"900": token("<new>", False, normalized=True)})
    yield case("a listed token with its content alone", added_tokens_decoder={"900": {"content": "<new>"}})
    yield case("extra_special_tokens", extra_special_tokens=["<new>", "<extra>"])
    yield case("names of extra_special_tokens beside additional_special_tokens",
               extra_special_tokens={"image_token": "<new>"}, additional_special_tokens=["<extra>"])
    yield case("additional_special_tokens", additional_special_tokens=["<new>", "<|im_end|>"])
    yield case("both", extra_special_tokens=["<new>"], additional_special_tokens=["<extra>"])
    yield case("extra_special_tokens empty", extra_special_tokens=[], additional_special_tokens=["<extra>"])
    yield case("extra_special_tokens by name", extra_special_tokens={"image_token": "<new>"})
    yield case("a name of the model's own", image_token="<new>", image_size_token=3)
    yield case("new names", bos_token="<b>", eos_token="<e>", pad_token="<new>", unk_token="<extra>",
               extra_special_tokens=["<x>"], audio_token="<a>")
    yield case("a name with flags", eos_token=typed("<new>", lstrip=True))
    yield case("names of the model's own, in the order of the file", z_token="<z>", b_token="<b>", a_token="<a>")
    yield case("names in extra_special_tokens, in the order of the file", b_token="<b>",
               extra_special_tokens={"z": "<z>", "eos_token": "<e>", "b_token": "<x>", "a": "<a>"})
    yield case("names with flags come first", b_token="<b>", a_token=typed("<a>"), extra_special_tokens={"c": "<c>"})
    yield case("a token under two names, last without flags", bos_token=typed("<new>", lstrip=True), pad_token="<new>")
    yield case("a token under two names, last with flags", bos_token="<new>",
               pad_token=typed("<new>", False, rstrip=True))
    yield case("a token under three names", bos_token=typed("<new>", lstrip=True), sep_token="<new>",
               pad_token=typed("<new>", lstrip=True), cls_token=typed("<new>", rstrip=True), mask_token="<new>")
    yield case("a named token in a list", pad_token="<new>", extra_special_tokens=[typed("<new>", False, rstrip=True)])
    yield case("an ordinary token in a list", extra_special_tokens=[typed("<new>", False, normalized=True), "<tool>"])
    yield case("a name of an ordinary token", pad_token="<tool>", sep_token=typed("<plain>", False, lstrip=True))
    yield case("a name of an ordinary token beside listed tokens", pad_token="<tool>", added_tokens_decoder=decoder)
    yield case("a listed token with its content alone that is the end", eos_token="<new>",
               added_tokens_decoder={"900": {"content": "<new>"}})
    yield case("special_tokens_map.json", special_tokens_map={
        "eos_token": "<|im_end|>", "bos_token": token("<new>", rstrip=True), "image_token": "<extra>"})
    yield case("special_tokens_map.json with null", special_tokens_map={"eos_token": None})
    yield case("special_tokens_map.json beside listed tokens", added_tokens_decoder=decoder,
               special_tokens_map={"eos_token": "<|im_end|>", "additional_special_tokens": ["<new>"]})
    yield case("additional_special_tokens in special_tokens_map.json",
               special_tokens_map={"additional_special_tokens": ["<new>"]})
    yield case("additional_special_tokens in both files", additional_special_tokens=["<extra>"],
               special_tokens_map={"additional_special_tokens": ["<new>"]})
    yield case("extra_special_tokens in both files", extra_special_tokens=["<extra>"],
               special_tokens_map={"extra_special_tokens": ["<new>"]})
    yield case("additional_special_tokens in both files, empty in one", additional_special_tokens=[],
               special_tokens_map={"additional_special_tokens": ["<new>"]})
    yield case("names in both files", b_token="<b>", z_token="<z>", special_tokens_map={
        "z_token": "<new>", "a_token": token("<a>", lstrip=True),
        "extra_special_tokens": {"c": "<c>", "b_token": "<x>"}})
    yield case("added_tokens.json", added_tokens={"<new>": 950, "<extra>": 940})
    yield case("added_tokens.json with special tokens", additional_special_tokens=["<new>"], pad_token="<extra>",
               added_tokens={"<new>": 950, "<extra>": 940})
    yield case("added_tokens.json beside listed tokens", added_tokens_decoder=decoder, added_tokens={"<new>": 950})
    yield case("added_tokens.json with one id for two", added_tokens={"<new>": 950, "<extra>": 950, "<a>": 940})
    yield case("added_tokens.json with special tokens by objects", pad_token=typed("<extra>", lstrip=True),
               added_tokens={"<new>": 950, "<extra>": 940}, image_token="<new>")
    yield case("added_tokens.json with a taken id of a named token", added_tokens={"<new>": 2},
               pad_token=typed("<new>", rstrip=True))
    yield case("added_tokens.json with a taken id", added_tokens={"<new>": 2})
    yield case("ids that are none of tokenizer.json's", {"added_tokens": [
        added(900, "<new>"), added(2, "<extra>", False), added(800, "<|im_end|>", lstrip=True)]})
    yield case("an id of a token twice", {"added_tokens": [
        added(2, "<|im_end|>"), added(400, "<new>"), added(401, "<new>", False, rstrip=True), added(401, "<extra>")]})
    yield case("names of the model's own in an object", model_specific_special_tokens={"z": "<z>", "a": typed("<a>")})
    yield case("names of the model's own beside an object of them", b_token="<b>",
               model_specific_special_tokens={"z": "<z>"})
    yield case("chat_template", chat_template="in the configuration")
    yield case("chat_template in an object", chat_template={"other": "x", "default": "in an object"})
    yield case("chat_template by name", chat_template=[{"name": "tool_use", "template": "tools"},
                                                       {"name": "default", "template": "first"},
                                                       {"name": "default", "template": "second"}])
    yield case("chat_template.jinja counts", {}, {"chat_template.jinja": "in a file"}, chat_template="not this")
    yield case("more templates", {}, {"chat_template.jinja": "in a file",
                                      "additional_chat_templates/rag.jinja": "documents"})
    yield case("a template named default", {}, {"chat_template.jinja": "not this",
                                                "additional_chat_templates/default.jinja": "named"})
    yield case("no default among more templates", {}, {"additional_chat_templates/rag.jinja": "documents"},
               chat_template="not this")


def result(case):
    document = json.loads((make_tokens.OUT / "small_tokenizer.json").read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "config.json").write_text('{"model_type": "llama"}')
        (folder / "tokenizer.json").write_text(json.dumps(make_tokens.merge_patch(document, case["patch"])))
        for file, value in case["files"].items():
            (folder / f"{file}.json").write_text(json.dumps(value))
        for file, text in case["templates"].items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    template = tokenizer.chat_template
    return {
        "added": [[id, t.content, t.normalized, t.lstrip, t.rstrip, t.single_word]
                  for id, t in sorted(tokenizer.added_tokens_decoder.items())],
        "special": sorted(id for id in tokenizer.added_tokens_decoder
                          if not tokenizer.decode([id], skip_special_tokens=True)),
        "bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id,
        "ids": [tokenizer.encode(text) for text in TEXTS],
        "template": template.get("default") if isinstance(template, dict) else template}


if __name__ == "__main__":
    make_tokens.write("folders.json", {"texts": TEXTS, "cases": [{**case, **result(case)} for case in cases()]})
