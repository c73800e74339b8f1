#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what Hugging Face's `tokenizers` makes of hard texts, for tests/text/.

Usage: make_tokens.py GGUF [DATASETS]

into tests/data/tokens/:
  small_tokenizer.json  a byte-level BPE of a few hundred tokens, for tests without a model
  cases.json            hard texts with their ids, by tokenizer; conversations and decoding
  hashes.json           for the code points and each data set file: number of texts, of tokens, hash over the ids (needs DATASETS)

The reference for SmolLM2 is Digits (individual), then ByteLevel (no prefix space, its regex) over the vocabulary and
merges of the GGUF file. Needs the packages tokenizers, transformers, jinja2 and gguf.
"""
import copy
import io
import json
import pathlib
import sys
import zipfile

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "tokens"
MASK = (1 << 64) - 1
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def smollm2(reader):
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in reader.fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False)
                                  for t, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def small():
    """Trained on a page of text; special and added tokens with every flag."""
    page = "\n".join(TRAINING)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([page], trainer)
    tokenizer.add_special_tokens(["<|im_end|>more", AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True),
                                  AddedToken("<word>", single_word=True), "<|begin|>", "<|start_header_id|>",
                                  "<|end_header_id|>", "<|eot_id|>"])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("<plain>", normalized=True), "ab<plain>"])
    return tokenizer


def variants():
    """Changes to small_tokenizer.json (JSON merge patches) that make the other families of it."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}

    def split(pattern):
        regex = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        return {"type": "Sequence", "pretokenizers": [regex, byte_level]}

    begin = {"type": "TemplateProcessing",
             "single": [{"SpecialToken": {"id": "<|begin|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
             "special_tokens": {"<|begin|>": {"id": "<|begin|>", "ids": [404], "tokens": ["<|begin|>"]}}}
    return {
        "small": {},
        "gpt2": {"pre_tokenizer": {**byte_level, "use_regex": True, "pretokenizers": None}},
        "digit_runs": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": False}, {**byte_level, "use_regex": True}]}},
        "llama3": {"pre_tokenizer": split(LLAMA3), "model": {"ignore_merges": True}, "post_processor": begin},
        "qwen2": {"pre_tokenizer": split(QWEN2), "normalizer": {"type": "NFC"}},
        "unknown": {"model": {"unk_token": "<|endoftext|>", "fuse_unk": True}},
    }


def merge_patch(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def drop_bytes(document):
    """For "unknown": a vocabulary that lacks some bytes, as SmolLM2's does."""
    document = copy.deepcopy(document)
    for character in "éÿ":
        document["model"]["vocab"]["unused " + character] = document["model"]["vocab"].pop(character)
    document["model"]["merges"] = [m for m in document["model"]["merges"] if not set("éÿ") & set("".join(m))]
    return document


TRAINING = [
    "The quick brown fox jumps over the lazy dog; it's 12 o'clock and they've all gone, haven't they?",
    "SELECT name, age FROM people WHERE age > 30 ORDER BY name LIMIT 10;",
    "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\n", "Schöne Grüße aus Köln, où êtes-vous allés?",
    "the there then them they other another brother mother", "one  two   three    four     five",
]

TEXTS = [
    "", " ", "  ", "a", "Hello, world!", "Hello  world   again    .", " leading", "trailing ", "  both  ", "\t", "\n",
    "\n\n", "\r\n", "\r", "a\r\nb\r\n\r\nc", "a\n\n\n b", "a \n b", "\t\tindent\n\t\tmore\n", "tab\tand space \t mixed",
    "a\u00a0b", "\u00a0\u00a0a", "a \u00a0 b", "a\u3000b\u3000\u3000c", "a\u200bb", "a\u200b b", "\u2003em\u2002en",
    "a\u1680b", "a\u180eb \u180e", "a\u2028b\u2029c", "a\u0085b", "\ufeffbom", "a\x0b\x0cb", "\x00", "a\x00b",
    "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10", "\x1b[31mred\x1b[0m", "\x7f", "\x1c\x1d\x1e\x1f",
    "it's they're we've I'm you'll he'd can't", "IT'S THEY'RE WE'VE I'M YOU'LL HE'D CAN'T", "'s 't 're", "''s '''",
    "it\u2019s", "'\u017f I'\u017f", "o'clock 'tis 'twas rock'n'roll", "don't.Stop'd'll", "'S'T'RE",
    "1", "12", "123", "1234", "12345678901234567890", " 1", "  12", "1 2 3", "a1b2c3", "3.14159", "-1,000,000.50",
    "1e-10", "0x1F", "\u0661\u0662\u0663", "\u096b\u096c", "\uff11\uff12", "\u00bd\u00be\u00b2\u00b3\u00b9", "\u2160\u2161\u216b",
    "\u2460\u2461", "\u3007\u4e00\u4e8c", "\u0bf0\u0bf1", "x\u00b2+y\u00b3", "\U0001d7d8\U0001d7d9", "10\u2075", "\u12461 \u10d40",
    "\U00010d40\U00010d41", "\U0001d2c0", "\U00011de0 \U00016ff4", "\U00011f50\U0001e4f0", "\U00010d4a\U00010d4b", "\U00031350x",
    "\u1c89\u1c8a", "2nd 3rd 4th", "\u00aa\u00ba", "$1.00 \u20ac2,50 \u00a33", "50% 100\u2030",
    "Voil\u00e0 l'\u00e9t\u00e9 fran\u00e7ais", "Stra\u00dfe \u1e9e", "\u0130stanbul \u0131\u015f\u0131k", "Za\u017c\u00f3\u0142\u0107 g\u0119\u015bl\u0105 ja\u017a\u0144",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
    "\u09b9\u09cd\u09af\u09be\u09b2\u09cb", "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd", "\u0c24\u0c46\u0c32\u0c41\u0c17\u0c41", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\u1019\u103c\u1014\u103a\u1019\u102c", "\u1797\u17b6\u179f\u17b6\u1781\u17d2\u1798\u17c2\u179a", "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0", "\u0532\u0561\u0580\u0565\u0582",
    "\u12a0\u121b\u122d\u129b", "\u13e3\u13b3\u13a9", "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u6f22\u5b57\u304b\u306a\u4ea4\u3058\u308a\u6587", "\u30ab\u30bf\u30ab\u30ca\uff76\uff85",
    "\uc548\ub155\ud558\uc138\uc694", "\u1112\u1161\u11ab", "\U00013000\U00013001", "\U0001f600", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f\u200d\U0001f525", "1\ufe0f\u20e3", "\u263a \u2603\ufe0e", "\U0001faf1\U0001f3fb\u200d\U0001faf2\U0001f3ff",
    "e\u0301", "cafe\u0301 cafe\u0301s", "a\u0300\u0301\u0302\u0303", "\u0301alone", " \u0301 x", "Z\u0351\u036f\u030b\u0344a\u0335l", "n\u0303o", "\u212b \u2126 \ufb01",
    "\ud7a3\u11a8", "\uf900", "\ue000\uf8ff", "\U000f0000", "\U0010ffff", "\ufffd", "\uffff", "\u0378",
    "a" * 300, "ab" * 200, "the" * 150, "Donaudampfschifffahrtsgesellschaftskapit\u00e4n" * 4, "." * 100, "-" * 64 + "=" * 33, " " * 200 + "x",
    "\n" * 50, "\t" * 20 + "\n", "=" * 10 + "\n" * 3 + "x", "!?!?!?", "...", "\u2026\u2014\u2013", "\u201cquoted\u201d \u2018single\u2019",
    "snake_case camelCase PascalCase SCREAMING_SNAKE", "user@example.com https://example.com/a?b=c&d=%20#e", "C:\\Windows\\System32\\", "a/b/c.d",
    "def f(x):\n    return x**2  # square\n", "if (a && b || !c) { return a->b; }", "<html><body class=\"x\">&amp;</body></html>", "{\"key\": [1, 2.5, null, true]}",
    "SELECT COUNT(*) FROM t WHERE a = 'b' AND c >= 10 GROUP BY d ORDER BY e DESC LIMIT 5;", "\\frac{a}{b} \\sum_{i=0}^{n} x_i^2", "$$$ ### @@@ ^^^ ~~~ ``` |||",
    "<|endoftext|>", "<|im_start|>user\nHi<|im_end|>\n", "a<|im_end|>b", "a <|im_end|> b", "<|im_start|><|im_start|>", "<|im_end|", "|im_end|>", "<<|im_end|>>",
    "<|im_end|>more", "<|im_end|>mor", "<|IM_END|>", "< |im_end|>", "<|im_end|>\u0301", "<repo_name>x<file_sep>y", "<empty_output>",
    "a  <left>  b", "a  <right>  b", "<right>\u3000\u00a0 <left> x", "<right> \n <left>", "a<word>b <word> c", "<word>", "\u00e9<word> \u0301<word>", "(<word>)", "_<word>",
    "x<tool>y", "x<plain>y", "xab<plain>y", " ab<plain> <plain>", "<tool><plain><|im_end|>", "<|im_end|><plain>", "<|begin|>x",
    "Mixed: \u65e5\u672c\u8a9e and English, \u0440\u0443\u0441\u0441\u043a\u0438\u0439 too\u2014\U0001f389 100% (maybe)! \t\u00a0 end\r\n\r\n  ",
]

CHATS = [
    [("user", "Hello!")],
    [("system", "Be brief."), ("user", "What is 12 + 30?")],
    [("user", "Hi"), ("assistant", "Hello, how can I help?"), ("user", "Tell me a joke.\n\n")],
    [("user", "")], [("system", ""), ("user", " leading and trailing \n")],
    [("user", "\n\nstarts with line ends"), ("assistant", "\tcode:\n    x = 1\n")],
    [("user", "\u4f60\u597d \U0001f468\u200d\U0001f469\u200d\U0001f467 caf\u00e9"), ("assistant", "\u00a0ok\u3000")],
    [("user", "a"), ("system", "late system"), ("user", "b")],
    [("assistant", "I begin."), ("user", "  Why?\x1c ")],
]
LLAMA3_CHAT = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
QWEN_CHAT = (
    "{%- for message in messages -%}\n  {%- if loop.first and messages[0].role != \"system\" -%}\n"
    "    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}\n  {%- endif -%}\n"
    "  {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' -}}\n{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n  {{- '<|im_start|>assistant\\n' -}}\n{%- endif -%}\n")
CHATML = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}\n"
    "{% for message in messages %}\n{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}\n{% if add_generation_prompt %}\n{{ '<|im_start|>assistant\n' }}{% endif %}")


def chats(tokenizer, template, source, **special):
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template, **special)
    cases = []
    for chat in CHATS:
        for prompt in (False, True):
            messages = [{"role": role, "content": content} for role, content in chat]
            ids = fast.apply_chat_template(messages, add_generation_prompt=prompt, tokenize=True, return_dict=False)
            cases.append({"messages": messages, "prompt": prompt, "ids": ids})
    return {"tokenizer": source, "template": template, "cases": cases}


def decodings(tokenizer, texts, limit):
    cases = []
    whole = [token for text in texts for token in tokenizer.encode(text, add_special_tokens=False).ids]
    bits = [[0, 1, 2, 20, 1], [1, 200, 2, 201]] + [whole[i:i + n] for i in range(0, len(whole), 53) for n in (1, 2, 5)]
    for ids in bits:
        for skip in (False, True):
            cases.append({"ids": ids, "skip": skip, "text": tokenizer.decode(ids, skip_special_tokens=skip)})
    return cases[:limit]


def sweep():
    """Every code point that has a meaning, next to letters, digits and spaces; 256 to a text."""
    for start in [*range(0, 0xD800, 256), *range(0xE000, 0x33500, 256), 0xE0000, 0xE0100]:
        yield "".join(f"x{chr(c)}x1{chr(c)} {chr(c)}\n" for c in range(start, start + 256))


def hashed(tokenizer, texts):
    """FNV-1a with 32-bit units: each id, and 2^32 - 1 after each text."""
    value, count, tokens = 0xCBF29CE484222325, 0, 0
    for text in texts:
        ids = tokenizer.encode(text).ids
        for unit in ids + [0xFFFFFFFF]:
            value = (value ^ unit) * 0x100000001B3 & MASK
        count += 1
        tokens += len(ids)
    return {"texts": count, "tokens": tokens, "hash": f"{value:016x}"}


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from strings(value[key])


def texts_of(name, content):
    """Each line that is UTF-8, without its line end; then the string values, objects by sorted keys, of a JSON document
    or of JSON lines."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            pass
    if name.endswith((".json", ".jsonl")):
        try:
            yield from strings(json.loads(content))
        except ValueError:
            for line in lines:
                yield from strings(json.loads(line))


def data_files(folder):
    for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                for member in sorted(archive.namelist()):
                    if member.endswith(".csv") and not member.startswith("__MACOSX"):
                        yield name + "/" + member, archive.read(member)
        elif path.suffix in (".json", ".jsonl", ".tsv", ".csv"):
            yield name, path.read_bytes()


def write(name, value, indent=None):
    OUT.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=True, indent=indent, separators=(",", ":") if indent is None else None)
    (OUT / name).write_text(text + "\n")
    print(name, len(text), "bytes")


def main(model, datasets=None):
    reader = gguf.GGUFReader(model)
    reference = smollm2(reader)
    little = small()
    document = json.loads(little.to_str())
    write("small_tokenizer.json", document)

    built = {name: (patch, Tokenizer.from_str(json.dumps(merge_patch(
        drop_bytes(document) if name == "unknown" else document, patch)))) for name, patch in variants().items()}
    cases = {"texts": TEXTS, "smollm2": [reference.encode(text).ids for text in TEXTS], "variants": {}}
    for name, (patch, tokenizer) in built.items():
        cases["variants"][name] = {"patch": patch, "hashes": [hashed(tokenizer, [text])["hash"] for text in TEXTS]}
    plain = Tokenizer.from_str(json.dumps(document))
    plain.encode_special_tokens = True
    cases["as_text"] = [hashed(plain, [text])["hash"] for text in TEXTS]
    cases["decode"] = decodings(built["small"][1], TEXTS, 120)
    cases["decode_smollm2"] = decodings(reference, TEXTS, 60)
    cases["chats"] = [
        chats(reference, reader.fields["tokenizer.chat_template"].contents(), "smollm2"),
        chats(built["small"][1], QWEN_CHAT, "small"), chats(built["small"][1], CHATML, "small"),
        chats(built["small"][1], LLAMA3_CHAT, "small", bos_token="<|begin|>"),
    ]
    write("cases.json", cases)

    hashes = {"code points": {name: hashed(t, sweep()) for name, (_, t) in built.items() if name in ("small", "llama3")}}
    if datasets:
        hashes["files"] = {name: hashed(reference, texts_of(name, content)) for name, content in data_files(datasets)}
    write("hashes.json", hashes, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
