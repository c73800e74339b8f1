# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face folder of a Llama small enough to load in a blink, whose tokens are bytes. Needs nothing but Python."""
import array
import json
import math
import pathlib
import random
import struct

HIDDEN, HEADS, FEED_FORWARD, LAYERS = 16, 2, 32, 2
END = "<|end|>"


def letters():
    """A letter for each byte, as byte-level tokenizers write them."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + i) for i, byte in enumerate(rest)}}


def shapes(vocabulary):
    yield "model.embed_tokens.weight", (vocabulary, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        for part in "input_layernorm", "post_attention_layernorm":
            yield f"{name}{part}.weight", (HIDDEN,)
        for part in "qkvo":
            yield f"{name}self_attn.{part}_proj.weight", (HIDDEN, HIDDEN)
        for part in "gate", "up":
            yield f"{name}mlp.{part}_proj.weight", (FEED_FORWARD, HIDDEN)
        yield f"{name}mlp.down_proj.weight", (HIDDEN, FEED_FORWARD)


def make(folder, seed=1):
    """Writes the model, and returns its folder."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    tokens = {letter: byte for byte, letter in letters().items()}
    vocabulary = len(tokens) + 1
    (folder / "tokenizer.json").write_text(json.dumps({
        "added_tokens": [{"id": len(tokens), "content": END, "special": True}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": tokens, "merges": []}}), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END}))
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "num_hidden_layers": LAYERS, "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "vocab_size": vocabulary, "eos_token_id": len(tokens), "bos_token_id": None}))
    numbers, header, data = random.Random(seed), {}, array.array("f")
    for name, shape in shapes(vocabulary):
        begin = 4 * len(data)
        data.extend(1.0 if len(shape) == 1 else numbers.gauss(0, 0.3) for _ in range(math.prod(shape)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, 4 * len(data)]}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data.tobytes())
    return folder
