#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzz targets: tests/fuzz/make_corpus.py. A target must read each file good_* (fuzz_replay).

Seeds are small and use every part of a format once, so that a fuzzer has all of it to change."""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
DATA = pathlib.Path(__file__).parent.parent / "data"


def write(target, name, content):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def safetensors(tensors, metadata=None):
    """A file of tensors {name: (type, shape)} whose numbers are zero."""
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1}
    header, end = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape) in tensors.items():
        count = 1
        for n in shape:
            count *= n
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + count * sizes[dtype]]}
        end += count * sizes[dtype]
    text = compact(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(end)


def parts(*files):
    """Several files as one input (fuzz/support.hpp, parts_of)."""
    encoded = [f.encode() if isinstance(f, str) else f for f in files]
    return b"".join(struct.pack("<I", len(f)) + f for f in encoded)


def gguf(metadata, tensors):
    """A GGUF file. Metadata: {key: (type, value)}; tensors: {name: (type number, shape innermost first, bytes)}."""
    scalar = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "u64": 10, "i64": 11,
              "f64": 12}
    formats = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "bool": "?",
               "u64": "Q", "i64": "q", "f64": "d"}

    def string(text):
        return struct.pack("<Q", len(text.encode())) + text.encode()

    def value(kind, v):
        return string(v) if kind == "string" else struct.pack("<" + formats[kind], v)

    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, (kind, v) in metadata.items():
        out += string(key)
        if isinstance(v, list):
            out += struct.pack("<IIQ", 9, 8 if kind == "string" else scalar[kind], len(v))
            out += b"".join(value(kind, x) for x in v)
        else:
            out += struct.pack("<I", 8 if kind == "string" else scalar[kind]) + value(kind, v)
    offset = 0
    for name, (kind, shape, data) in tensors.items():
        out += string(name) + struct.pack("<I", len(shape)) + struct.pack("<%dQ" % len(shape), *shape)
        out += struct.pack("<IQ", kind, offset)
        offset += len(data) + -len(data) % 32
    out += bytes(-len(out) % 32)
    for _, _, data in tensors.values():
        out += data + bytes(-len(data) % 32)
    return out


def sentencepiece_pieces():
    return ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "th", "\u2581th", "\u2581the", "the",
            "\u2581", "e", "t", "h", "x"]


def gguf_seeds():
    letters = [chr(c) for c in range(33, 127)]
    tokens = letters + ["th", "the", "<|im_start|>", "<|im_end|>"]
    model = {
        "general.architecture": ("string", "llama"), "general.name": ("string", "fuzz"),
        "llama.embedding_length": ("u32", 4), "llama.block_count": ("u32", 1), "llama.feed_forward_length": ("u32", 4),
        "llama.attention.head_count": ("u32", 2), "llama.attention.head_count_kv": ("u32", 1),
        "llama.attention.layer_norm_rms_epsilon": ("f32", 1e-5), "llama.context_length": ("u32", 64),
        "llama.rope.freq_base": ("f32", 1e4), "llama.rope.dimension_count": ("u32", 2),
        "llama.rope.scaling.type": ("string", "linear"), "llama.rope.scaling.factor": ("f32", 2),
        "tokenizer.ggml.model": ("string", "gpt2"), "tokenizer.ggml.pre": ("string", "llama-bpe"),
        "tokenizer.ggml.tokens": ("string", tokens),
        "tokenizer.ggml.token_type": ("i32", [1] * (len(tokens) - 2) + [3, 3]),
        "tokenizer.ggml.merges": ("string", ["t h", "th e"]),
        "tokenizer.ggml.bos_token_id": ("u32", 96), "tokenizer.ggml.eos_token_id": ("u32", 97),
        "tokenizer.ggml.add_bos_token": ("bool", True),
        "tokenizer.chat_template": ("string", "{{ messages }}"),
    }
    write("gguf", "good_model.gguf", gguf(model, {"token_embd.weight": (0, [4, len(tokens)], bytes(16 * len(tokens)))}))
    pieces = sentencepiece_pieces()
    model |= {
        "tokenizer.ggml.model": ("string", "llama"), "tokenizer.ggml.tokens": ("string", pieces),
        "tokenizer.ggml.token_type": ("i32", [2, 3, 3] + [6] * 256 + [1] * (len(pieces) - 259)),
        "tokenizer.ggml.scores": ("f32", [0.0] * 259 + [-float(i) for i in range(len(pieces) - 259)]),
        "tokenizer.ggml.bos_token_id": ("u32", 1), "tokenizer.ggml.eos_token_id": ("u32", 2),
        "tokenizer.ggml.add_space_prefix": ("bool", True),
    }
    write("gguf", "good_sentencepiece.gguf",
          gguf(model, {"token_embd.weight": (0, [4, len(pieces)], bytes(16 * len(pieces)))}))
    kinds = {k: (k, v) for k, v in {"u8": 1, "i8": -1, "u16": 2, "i16": -2, "u32": 3, "i32": -3, "f32": 0.5,
                                    "bool": True, "u64": 4, "i64": -4, "f64": 0.25}.items()}
    kinds["list"] = ("i16", [1, 2, 3])
    kinds["general.alignment"] = ("u32", 32)
    # F32, F16, Q4_0, Q4_1, Q8_0, BF16: type number, bytes of a block, numbers of a block
    blocks = {"f32": (0, 4, 1), "f16": (1, 2, 1), "q4_0": (2, 18, 32), "q4_1": (3, 20, 32), "q8_0": (8, 34, 32),
              "bf16": (30, 2, 1)}
    tensors = {n: (kind, [64, 2], bytes(range(1, size + 1)) * (128 // numbers))
               for n, (kind, size, numbers) in blocks.items()}
    write("gguf", "good_types.gguf", gguf(kinds, tensors))


def adapter_seeds():
    """For the backbone tests/data/models/llama_grouped. FINGERPRINT stands for its fingerprint."""
    lora = DATA / "adapters" / "lora_all"
    tensors = (lora / "adapter_model.safetensors").read_bytes()
    write("adapter", "good_lora", parts(compact(json.loads((lora / "adapter_config.json").read_text())), tensors))
    prefix = {"peft_type": "PREFIX_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 2, "num_layers": 2,
              "token_dim": 16, "num_attention_heads": 2, "num_transformer_submodules": 1, "prefix_projection": False,
              "encoder_hidden_size": 32, "inference_mode": True, "base_model_name_or_path": "x"}
    write("adapter", "good_prefix", parts(compact(prefix), safetensors({"prompt_embeddings": ("F32", [2, 64])})))
    for output, per_layer in {
            "hidden": {"up": [3, 32], "base": [2, 32]},
            "hidden_gains": {"up": [3, 32], "base": [2, 32], "key_gain": [2, 2], "value_gain": [2, 2],
                             "value_offset": [2, 16]},
            "key_value": {"key_up": [3, 16], "value_up": [3, 16], "key_offset": [2, 16], "value_offset": [2, 16],
                          "key_base": [2, 16], "value_base": [2, 16]}}.items():
        config = {"method": "iapt", "library_version": "0.1.0", "backbone": "FINGERPRINT", "input": "normed",
                  "pooler": "self_attention", "activation": "rational", "output": output, "placement": "late",
                  "soft_tokens": 2, "bottleneck": 3, "share": 1}
        shapes = {"down": [32, 3], "pool": [3, 2], "activation.numerator": [7], "activation.denominator": [5],
                  **per_layer}
        write("adapter", "good_" + output, parts(compact(config), safetensors(
            {"layers.%d.%s" % (layer, name): ("F32", shape) for layer in (0, 1) for name, shape in shapes.items()})))


def checkpoint_seeds():
    run = {"step": 3, "tokens": 90, "loss": 1.5, "dev_loss": None, "best_dev_loss": 1.25, "best_step": 2,
           "without_gain": 1, "settings": {"batch": 4, "method": {"rank": 8}}, "updates": {"head": 3, "scale": 0}}
    shapes = {"head": [2, 3], "scale": [3]}
    state = safetensors({prefix + name: ("F32", shape) for name, shape in shapes.items()
                         for prefix in ("", "adamw.first.", "adamw.second.")})
    write("checkpoint", "good_run", parts(compact(run), state))


def json_seeds():
    config = json.loads((DATA / "models" / "llama_biases_rope3" / "config.json").read_text())
    write("model_config", "good_llama3.json", compact(config))
    write("model_config", "good_linear.json", compact({**config, "rope_parameters": None, "rope_theta": 5e5,
                                                       "rope_scaling": {"type": "linear", "factor": 2.0}}))
    write("model_config", "good_qwen2.json", compact(json.loads(
        (DATA / "models" / "qwen2" / "config.json").read_text())))
    write("shard_index", "good_index.json", compact({
        "metadata": {"total_size": 4}, "weight_map": {"a.weight": "model-1.safetensors", "b": "model-2.safetensors"}}))
    write("shard_index", "outside.json", compact({"weight_map": {"a": "../model.safetensors"}}))
    write("api_keys", "good_keys.json", compact({"key": ["sql", "base"], "other": "*", "none": []}))
    write("safetensors", "good_types.safetensors", safetensors(
        {"a": ("F32", [2, 2]), "b": ("BF16", [3]), "c": ("F16", []), "d": ("I64", [1]), "e": ("F64", [0, 4]),
         "f": ("U8", [4])}, {"format": "pt"}))


def tokenizer_seeds():
    vocabulary = {chr(c): c - 33 for c in range(33, 127)}
    vocabulary |= {"\u0120": 94, "th": 95, "the": 96, "\u010a": 97}
    split = {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"},
             "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    marks = [{"id": 98 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, text in enumerate(["<|im_start|>", "<|im_end|>"])]
    file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": marks,
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                      "vocab": vocabulary, "merges": ["t h", ["th", "e"]]}}
    write("tokenizer_json", "good_nfc.json", compact(file))
    pieces = sentencepiece_pieces()
    mark = {"String": "\u2581"}
    file |= {
        "added_tokens": [{"id": i, "content": pieces[i], "normalized": i == 1, "special": True} for i in range(3)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": mark, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
                  "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": ["t h", "\u2581 th", ["th", "e"]]}}
    write("tokenizer_json", "good_sentencepiece.json", compact(file))
    file |= {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581",
                                                   "prepend_scheme": "first", "split": True}}
    write("tokenizer_json", "good_metaspace.json", compact(file))
    write("tokenizer_json", "good_config.json", compact({
        "tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "add_prefix_space": False, "bos_token": None,
        "eos_token": {"content": "a", "special": True}, "chat_template": "{{ messages }}",
        "added_tokens_decoder": {"0": {"content": "a", "special": True}}, "extra_special_tokens": []}))


def text_seeds():
    lines = [{"prompt": "Q: 1+1?", "completion": " 2"}, {"instruction": "Add.", "input": "1 1", "output": "2"},
             {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "1+1?"},
                           {"role": "assistant", "content": "2"}], "tags": ["sum"]}]
    write("jsonl", "good_lines.jsonl", "\n".join(map(compact, lines)) + "\n")
    write("jsonl", "good_choices.jsonl", compact({"prompt": "1+1?", "choices": [" 2", " 3"], "answer": 0}) + "\n")
    chatml = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
              "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
              "{% endif %}")
    write("chat_template", "good_chatml.jinja", chatml)
    write("chat_template", "good_system.jinja", (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are short.<|im_end|>\n' }}{% endif %}" + chatml.split("%}", 1)[1]))


def jinja_seeds():
    write("jinja", "good_chat.jinja", (
        "{%- set ns = namespace(first=true, text='') -%}\n{%- for message in messages if message.role != 'x' %}\n"
        "    {%- if loop.first and message['role'] == 'system' -%}\n{{- message.content | trim ~ '|' }}\n"
        "    {%- elif message.tool_calls is defined %}\n{% generation %}{% for call in message.tool_calls %}"
        "{{ call.name + ': ' + call.arguments | tojson(indent=2) }}{% if not loop.last %}, {% endif %}{% endfor %}"
        "{% endgeneration %}\n    {%- else %}{{ '<' ~ message.role|upper ~ '>' ~ message.content.split('\"')[-1][::-1] }}"
        "{%- endif %}{% set ns.text = ns.text ~ message.content %}\n{%- endfor %}{{ ns.text | replace('.', '!') }}"))
    write("jinja", "good_macros.jinja", (
        "{% macro show(value, depth=0) %}{% if value is mapping %}{% for k, v in value|dictsort(reverse=true) %}"
        "{{ '  ' * depth ~ k }}: {{ show(v, depth + 1) }}{% endfor %}{% elif value is iterable and value is not string %}"
        "{% for v in value %}{{ show(v, depth=depth + 1) }}{% else %}none{% endfor %}{% else %}{{ value|string|e }}"
        "{% endif %}{% endmacro %}{{ show(messages) }}{% macro wrap(x) %}[{{ caller(x) }}{{ varargs }}{{ kwargs }}]"
        "{% endmacro %}{% call(y) wrap(s, 1, k=2) %}{{ y.title() }}{% endcall %}"
        "{% set block | indent(2, true) %}{{ s }}\n{{ s|lower }}{% endset %}{{ block }}{% filter upper %}{{ s }}{% endfilter %}"
        "{% with a, b = (1, 2) %}{{ a < b <= 2 and not a in [2] or none }}{% endwith %}{# comment #}{% raw %}{{ }}{% endraw %}"))
    write("jinja", "good_values.jinja", (
        "{{ [1, 2.5, -3 // 2, 2 ** 8, 7 % 4, true, none, 'x', (1,), {'k': s, 1: [s]}] }}{{ '%s|%5.2f|%-4d' % (s, 1.5, 3) }}"
        "{{ '{:>8}|{!r}|{a:^5}'.format(s, s, a=1) }}{{ s[1:-1:2] }}{{ s.replace(s[0], 'x', 1)|capitalize }}{{ tools|length }}"
        "{{ messages|map(attribute='content')|select|join(' - ') }}{{ messages|groupby('role')|map('first')|list }}"
        "{{ messages|selectattr('role', 'in', ['user'])|list|tojson(ensure_ascii=true, sort_keys=true) }}"
        "{{ messages|rejectattr('tool_calls', 'defined')|sort(attribute='role')|batch(2)|list }}{{ x|default('y') }}"
        "{{ s.splitlines() + s.split() + s.rsplit(none, 1) }}{{ range(5)|reverse|list|unique|sum if tools else 1 }}"
        "{{ strftime_now('%Y') }}{{ dict(a=1, **{'b': 2}).items()|list|last }}{{ joiner()() }}{{ cycler(1, 2).next() }}"
        "{% for a in [3, [1]] recursive %}{{ loop(a) if a is iterable else a }}{{ loop.cycle(1, 2) }}{% continue %}"
        "{% endfor %}{{ (s|safe) + '<' }}{{ '12'|int + '1.5'|float|round|abs }}{{ s.partition(' ')|max ~ s.find('x') }}"))
    write("jinja", "raises.jinja", "{{ raise_exception('No ' ~ s) }}")


def request_seeds():
    common = {"model": "sql", "temperature": 0.5, "top_p": 0.9, "min_p": 0.1, "top_k": 20, "seed": 7, "n": 2,
              "frequency_penalty": 0.5, "presence_penalty": -0.5, "repetition_penalty": 1.1, "stop": ["\n", "END"],
              "stop_token_ids": [1, 2], "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True},
              "user": "u"}
    messages = [{"role": "developer", "content": "Be short."},
                {"role": "user", "content": [{"type": "text", "text": "1+1?"}], "name": "n"}]
    write("openai_request", "good_chat.json", compact({
        **common, "messages": messages, "max_completion_tokens": 9, "logprobs": True, "top_logprobs": 2,
        "response_format": {"type": "text"}, "tools": None, "tool_choice": "none"}))
    write("openai_request", "good_completion.json", compact({
        **common, "prompt": ["1+1?", "2"], "max_tokens": 9, "logprobs": 2, "echo": False, "best_of": 2}))
    write("openai_request", "good_beams.json", compact({
        "model": "sql", "prompt": [[1, 2], [3]], "use_beam_search": True, "best_of": 3, "length_penalty": 0.5}))


if __name__ == "__main__":
    for seeds in (gguf_seeds, adapter_seeds, checkpoint_seeds, json_seeds, tokenizer_seeds, text_seeds, jinja_seeds,
                  request_seeds):
        seeds()
