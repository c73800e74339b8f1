#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what llama.cpp makes of hard texts, for tests/text/tokenizer_gguf.cpp.

Usage: make_gguf_tokens.py

into tests/data/tokens/gguf.json: for names of tokenizer.ggml.pre, a hash over the ids of each text. The vocabulary is
that of small_tokenizer.json in a GGUF file with an untrained model of one layer. Texts that are not in NFC are left
out, because llama.cpp composes nothing, and those with the tokens whose flags a GGUF file does not hold.

Needs the packages gguf, numpy and xllamacpp (llama.cpp), and those of make_tokens.py.
"""
import json
import pathlib
import tempfile
import unicodedata
import urllib.request

import gguf
import make_tokens
import numpy
import xllamacpp

NAMES = ["smollm", "refact", "llama-bpe", "falcon3", "dbrx", "glm4", "qwen2", "deepseek-r1-qwen", "megrez", "gpt-2",
         "exaone4", "default"]
FLAGGED = ["<left>", "<right>", "<word>", "<plain>"]


def write_layer(writer, tokens):
    """Completes a file with an untrained model of one layer."""
    width = 32
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    zero = numpy.zeros((width, width), numpy.float32)
    writer.add_tensor("token_embd.weight", numpy.zeros((tokens, width), numpy.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(name + ".weight", zero[0])
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", zero)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_model(path, pre, document):
    writer = gguf.GGUFWriter(path, "llama")
    bos = 404
    tokens = {id: text for text, id in document["model"]["vocab"].items()}
    types = dict.fromkeys(tokens, gguf.TokenType.NORMAL)
    for token in document["added_tokens"]:
        tokens[token["id"]] = token["content"]
        types[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([tokens[id] for id in range(len(tokens))])
    writer.add_token_types([types[id] for id in range(len(tokens))])
    writer.add_token_merges([" ".join(merge) for merge in document["model"]["merges"]])
    writer.add_bos_token_id(bos)
    write_layer(writer, len(tokens))


def hashes(path, texts):
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 64
    server = xllamacpp.Server(parameters)

    class Reference:
        def __init__(self, ids):
            self.ids = ids

        @staticmethod
        def encode(text):
            body = json.dumps({"content": text, "add_special": True}).encode()
            with urllib.request.urlopen(server.listening_address + "/tokenize", body) as answer:
                return Reference(json.load(answer)["tokens"])

    return [make_tokens.hashed(Reference, [text])["hash"] for text in texts]


def main():
    document = json.loads((make_tokens.OUT / "small_tokenizer.json").read_text())
    texts = ["$5+3=8 <a|b>^~ 1234567 \u0661\u0662\u0663\u0664", "a1b22c333d4444 x\t\ty"] + [
        text for text in make_tokens.TEXTS
        if unicodedata.is_normalized("NFC", text) and not any(token in text for token in FLAGGED)]
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for name in NAMES:
            path = str(pathlib.Path(folder, name + ".gguf"))
            write_model(path, name, document)
            names[name] = hashes(path, texts)
    make_tokens.write("gguf.json", {"texts": texts, "hashes": names})


if __name__ == "__main__":
    main()
