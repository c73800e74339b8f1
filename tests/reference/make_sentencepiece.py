#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what other libraries make of hard texts with a SentencePiece vocabulary, for tests/text/sentencepiece.cpp.

Usage: make_sentencepiece.py

into tests/data/tokens/sentencepiece.json: a BPE vocabulary with byte fallback of a few hundred pieces, trained here; the
same as a tokenizer.json with changes (JSON merge patches) for each family; texts; a hash over the ids of each text from
`tokenizers` (each family), from llama.cpp (GGUF) and from `sentencepiece` (texts without added tokens); decodings.

Needs the packages sentencepiece 0.2.3, tokenizers 0.23.1, gguf 0.19.0, numpy and xllamacpp (llama.cpp), and those of
make_tokens.py.
"""
import io
import json
import pathlib
import tempfile

import gguf
import make_gguf_tokens
import make_tokens
import sentencepiece
from tokenizers import Tokenizer

SPACE = "\u2581"
CONTROLS, USER_DEFINED = ["<|user|>", "<|end|>", "<|endoftext|>"], ["<tool>", "<tool>x"]
LINES = make_tokens.TRAINING + [
    "A tuned prompt is a short list of vectors that stands before the text; the model itself stays as it was.",
    "for each row in the table we write one sentence, and one more for the sum of all rows",
    "Der schnelle Fuchs sprang über den Zaun, und der Hund schlief weiter.", "добрый день, как у вас дела сегодня",
    "    indented    code    with    runs    of    spaces", "x = (a + b) * (c - d) / 2;", "!= == <= >= && || ++ --",
    "お元気ですか、今日はいい天気ですね。", "can't won't don't isn't it's we're they've",
]
OWN_TEXTS = [
    "the the  the   the    the", " the", "  the", "   ", "\u2581", "\u2581the", "a\u2581b", " \u2581 the",
    "\u2581\u2581", "<0x41>", "<0x0A>x<0xff>", "<s>", "</s>", "x</s>", "x </s>", "<unk>", "a<s>b", "a <s> b", " <s>",
    "<s> the", "<s>the</s>the", "<|user|>the other<|end|> mother", "<|user|> the", "<|user|>\n the<|end|>\n",
    "the<|end|> <|end|>  <|user|>", "<tool>the", "the<tool>", "the <tool> the", "<tool>x<tool>", " <tool>",
    "<tool>  the", "x<plain>y", "<plain>", " <plain> the", "<plain><plain>the", "the <plain>\n<plain>", "a<right>  b",
    "<right>\n\nthe <right>", "< s>", "<s", "s>", "</", "<|user", "\u00e9\u20ac\U0001f600", "the\U0001f600the",
    "\u20ac\u20ac", "\u304a\u5143\u6c17", "\u5929\u6c17\u5929", "\u0434\u043e\u0431\u0440\u044b\u0439",
    "<|user|>\n the<s>\n the<|endoftext|> the</s> \t the<tool> the", "\nthe", "the\n", "\n\nthe \n the",
    "\tthe\t\tthe", "otherother", "motherbrother", "isn't", "====", "++--", "the" * 40, " the" * 40, "a" * 64,
    " " * 65, "theothermother" * 12, "The quick brown fox", "user@example.com", "\x00the\x00", "the\r\nthe",
]


def train():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for line in LINES for _ in range(4)), model_writer=model, model_type="bpe",
        vocab_size=621, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        character_coverage=0.98, control_symbols=CONTROLS, user_defined_symbols=USER_DEFINED, pad_id=-1, minloglevel=2,
        allow_whitespace_only_pieces=True, split_digits=True, num_threads=1)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def kind(model, token):
    if model.is_unknown(token):
        return gguf.TokenType.UNKNOWN
    if model.is_control(token):
        return gguf.TokenType.CONTROL
    if model.is_byte(token):
        return gguf.TokenType.BYTE
    if model.is_unused(token):
        return gguf.TokenType.UNUSED
    return gguf.TokenType.USER_DEFINED if model.id_to_piece(token) in USER_DEFINED else gguf.TokenType.NORMAL


def merges(pieces, scores, types):
    """The pairs whose text is a piece, the best score first."""
    usable = {piece for piece, type in zip(pieces, types) if type == gguf.TokenType.NORMAL}
    pairs = [(-score, piece[:cut], piece[cut:]) for piece, score in zip(pieces, scores) if piece in usable
             for cut in range(1, len(piece)) if piece[:cut] in usable and piece[cut:] in usable]
    return [list(pair) for _, *pair in sorted(pairs, key=lambda pair: pair[0])]


def document(pieces, scores, types):
    """A tokenizer.json as that of Llama 2."""
    def replace(old, new):
        return {"type": "Replace", "pattern": {"String": old}, "content": new}

    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": id, "content": piece, **flags, "special": type != gguf.TokenType.USER_DEFINED}
             for id, (piece, type) in enumerate(zip(pieces, types))
             if type in (gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)]
    added.append({"id": len(pieces), "content": "<plain>", **flags, "normalized": True, "special": False})
    added.append({"id": len(pieces) + 1, "content": "<right>", **flags, "rstrip": True, "special": True})
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence",
                       "normalizers": [{"type": "Prepend", "prepend": SPACE}, replace(" ", SPACE)]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [pieces.index("<s>")], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence",
                    "decoders": [replace(SPACE, " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                                 {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
                  "vocab": {piece: id for id, piece in enumerate(pieces)}, "merges": merges(pieces, scores, types)},
    }


def variants(whole):
    """Changes to the document that make the other families of it."""
    def metaspace(scheme, split):
        return {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE,
                                                      "prepend_scheme": scheme, "split": split}}

    old = [{**token, "normalized": token["special"] and token["content"] != "<unk>"} for token in whole["added_tokens"]]
    return {
        "llama": {},
        "llama, special tokens normalized": {"added_tokens": old},
        "mistral": metaspace("first", False),
        "metaspace, always": metaspace("always", False),
        "metaspace, first, split": metaspace("first", True),
        "metaspace, always, split": metaspace("always", True),
        "metaspace, never": metaspace("never", True),
        "gemma": {
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE, "normalizers": None},
            "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                              "invert": False},
            "decoder": {"decoders": whole["decoder"]["decoders"][:3]}},
    }


def write_gguf(path, pieces, scores, types, prefix, name="small"):
    """A GGUF file with the vocabulary and an untrained model of one layer."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(pieces.index("<s>"))
    writer.add_eos_token_id(pieces.index("</s>"))
    if not prefix:
        writer.add_add_space_prefix(False)
    make_gguf_tokens.write_layer(writer, len(pieces))


def hashes(tokenizer, texts):
    return [make_tokens.hashed(tokenizer, [text])["hash"] for text in texts]


def decodings(tokenizer, texts):
    """Ids of texts, cut anywhere but inside a character, whose invalid bytes each library repairs in its own way."""
    cases = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        for part in (ids, ids[1:], ids[1:3]):
            for skip in (False, True):
                decoded = tokenizer.decode(part, skip_special_tokens=skip)
                if "\ufffd" not in decoded:
                    cases.append({"ids": part, "skip": skip, "text": decoded})
    return cases


def main():
    model = train()
    pieces = [model.id_to_piece(id) for id in range(model.get_piece_size())]
    scores = [model.get_score(id) for id in range(len(pieces))]
    types = [kind(model, id) for id in range(len(pieces))]
    texts = OWN_TEXTS + make_tokens.TEXTS
    whole = document(pieces, scores, types)
    out = {"types": [int(type) for type in types], "scores": scores, "pieces": pieces, "document": whole,
           "texts": texts, "tokenizers": {}, "gguf": {}, "decode": {}}
    for name, patch in variants(whole).items():
        tokenizer = Tokenizer.from_str(json.dumps(make_tokens.merge_patch(whole, patch)))
        out["tokenizers"][name] = {"patch": patch, "hashes": hashes(tokenizer, texts)}
        if "normalized" not in name:  # tokenizers does not leave out special tokens that are normalized
            out["decode"][name] = decodings(tokenizer, OWN_TEXTS)[:: 1 if name == "llama" else 5]

    with tempfile.TemporaryDirectory() as folder:
        for name, prefix in {"prefix": True, "no prefix": False, "Phi-3": True}.items():
            path = str(pathlib.Path(folder, f"{name}.gguf"))
            write_gguf(path, pieces, scores, types, prefix, name)
            out["gguf"][name] = make_gguf_tokens.hashes(path, texts)

    class Reference:
        def __init__(self, ids):
            self.ids = ids

        @staticmethod
        def encode(text):
            return Reference([model.bos_id()] + model.encode(text))

    # sentencepiece finds no control tokens, and puts no space behind user-defined ones.
    plain = [not any(token in text for token in ["<unk>", "<s>", "</s>", *CONTROLS, *USER_DEFINED]) for text in texts]
    out["sentencepiece"] = [make_tokens.hashed(Reference, [text])["hash"] if is_plain else None
                            for text, is_plain in zip(texts, plain)]
    same = sum(a == b for a, b in zip(out["sentencepiece"], out["gguf"]["prefix"]))
    print("sentencepiece and llama.cpp agree on", same, "of", sum(plain), "plain texts")
    make_tokens.write("sentencepiece.json", out)


if __name__ == "__main__":
    main()
