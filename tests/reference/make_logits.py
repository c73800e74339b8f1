# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/smollm2_logits.json: what transformers computes from the GGUF file.

    python tests/reference/make_logits.py --model SmolLM2-135M-Instruct.Q4_1.gguf [--out FILE]

Needs: torch, transformers, gguf, tokenizers; two minutes. Run it again only to change the prompts.

    {"model": {"file", "sha256"}, "versions": {...}, "end_token": id, "fixed_ids": [32 ids],
     "prompts": [{"name", "text" (null where ids were drawn), "ids",
                  "rows": [[log-sum-exp, 8 top ids, 8 top logits, 32 logits of fixed_ids], ...]}],
     "greedy":  [{"name", "text", "ids", "new_ids", "new_text", "ended", "smallest_gap"}]}

Computed in float32. "float_error" of a prompt is the largest difference of any stored number from
the same forward in double precision (transformers' norms and rotary angles stay in float32 there),
so a tolerance far below it tests nothing. The top ids are ordered by logit; where two logits are
closer than the tolerance another implementation may order them otherwise, so compare the logits *at*
those ids. A greedy continuation is as robust as its smallest gap between the first and the second
logit. "new_ids" holds the end token where "ended" is true, "new_text" does not.
"""
import argparse
import hashlib
import json
import pathlib
import random

import tokenizers
import torch
import transformers

from reference_model import end_token, load_model, load_tokenizer

TOP, FIXED = 8, 32

SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"


def chat(message):
    return f"{SYSTEM}<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n"


SQL = """Table harbour(id, name, country, depth_m, berths)
Table ship(id, name, harbour_id, length_m, built)
Question: Which five harbours in Norway deeper than 12 m hold the most ships built after 1998?
SQL:"""

MIXED = """Grüße aus Zürich! Ça va? Привет, мир. 你好,世界。 こんにちは 안녕하세요 שלום مرحبا नमस्ते
\t\tπ ≈ 3.14159265   and 2^10 = 1024;  e-mail: a.b+c@example.org  👩‍🚀🚀  naïve café — “quoted” …

    if (x >= 10 && y != -7) { return x * 0.5; }   // trailing spaces   \r
"""

PROSE = """The lighthouse stood on a shelf of black rock, and for three months of the year nobody could
reach it. Marta kept the log: wind, pressure, the number of ships, the hour at which the fog came in.
On the ninth of November 1911 she wrote that the lamp had been out for forty minutes, that it was her
own fault, and that no ship had passed. That last part was not true. A small steamer with a cargo of
timber and eleven men had gone by in the dark, very close, and its captain had seen the rocks only
because of the foam. He never spoke of it, and she never knew.

"""


def long_text():
    """Prose, a table of numbers and code: more than 600 tokens, no two lines alike."""
    rows = [f"| {day:02d} | {(day * 37) % 90 + 960} hPa | {(day * day * 7) % 53} ships | {'fog' if day % 3 else 'clear'} |"
            for day in range(1, 13)]
    code = ["def pressure(log, day):", '    """Mean of the day before, the day and the day after."""',
            "    near = [row.hpa for row in log if abs(row.day - day) <= 1]", "    return sum(near) / len(near)"]
    return PROSE + "\n".join(rows) + "\n\n```python\n" + "\n".join(code) + "\n```\n\n" + PROSE[::-1]


def prompts(tokenizer, vocabulary):
    draw = random.Random(771)
    texts = [("one token", "The"), ("short text", "The capital of France is"),
             ("chat", chat("Name three rivers of Europe.")), ("sql", SQL), ("mixed scripts", MIXED)]
    for name, text in texts:
        yield name, text, tokenizer.encode(text).ids
    yield "random ids", None, [draw.randrange(vocabulary) for _ in range(64)]
    ids = tokenizer.encode(long_text()).ids[:600]
    assert len(ids) == 600
    yield "long text", tokenizer.decode(ids, skip_special_tokens=False), ids


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shortened(values):
    """Seven significant digits: logits lie between -40 and 40."""
    return [float(f"{value:.7g}") for value in values]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    default = pathlib.Path(__file__).resolve().parent.parent / "data" / "smollm2_logits.json"
    parser.add_argument("--out", default=default, type=pathlib.Path)
    arguments = parser.parse_args()

    tokenizer, model = load_tokenizer(arguments.model), load_model(arguments.model)
    end, vocabulary = end_token(arguments.model), model.config.vocab_size
    fixed = sorted([0, end, vocabulary - 1] + random.Random(2024).sample(range(3, vocabulary - 1), FIXED - 3))

    def numbers(logits, top_ids):
        return torch.cat([logits.logsumexp(-1, keepdim=True), logits.gather(-1, top_ids), logits[:, fixed]], dim=-1)

    measured = []
    for name, text, ids in prompts(tokenizer, vocabulary):
        logits = model(torch.tensor([ids])).logits[0]
        top_ids = logits.topk(TOP).indices
        measured.append((name, text, ids, top_ids, numbers(logits, top_ids)))

    greedy = []
    questions = [("chat", chat("What is the capital of Italy, and which river runs through it?"), 48),
                 ("prose", PROSE.split("\n\n")[0] + "\n\nThe next morning", 40),
                 ("code", "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n", 48)]
    for name, text, count in questions:
        ids, new, gap = tokenizer.encode(text).ids, [], float("inf")
        while len(new) < count and end not in new:  # no cache: the plain definition
            best = model(torch.tensor([ids + new])).logits[0, -1].topk(2)
            new.append(best.indices[0].item())
            gap = min(gap, (best.values[0] - best.values[1]).item())
        text_ids = new[:-1] if new[-1] == end else new
        greedy.append({"name": name, "text": text, "ids": ids, "new_ids": new, "ended": new[-1] == end,
                       "new_text": tokenizer.decode(text_ids, skip_special_tokens=False),
                       "smallest_gap": round(gap, 6)})
        print(f"greedy {name}: smallest gap {gap:.4g}: {greedy[-1]['new_text']!r}")

    model.double()
    stored = []
    for name, text, ids, top_ids, values in measured:
        error = (numbers(model(torch.tensor([ids])).logits[0], top_ids) - values).abs().max().item()
        rows = [shortened(v[:1]) + t + shortened(v[1:]) for v, t in zip(values.tolist(), top_ids.tolist())]
        stored.append({"name": name, "text": text, "ids": ids, "float_error": float(f"{error:.2g}"), "rows": rows})
        print(f"{name}: {len(ids)} tokens, largest difference from double {error:.2g}")

    head = {"model": {"file": arguments.model.name, "sha256": digest(arguments.model)},
            "versions": {m.__name__: m.__version__ for m in (torch, transformers, tokenizers)},
            "end_token": end, "fixed_ids": fixed, "prompts": stored, "greedy": greedy}
    # one row a line, so that a changed number shows as one changed line
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    arguments.out.write_text(text.replace("],[", "],\n[").replace(',"', ',\n"') + "\n", encoding="utf-8")
    assert json.loads(arguments.out.read_text(encoding="utf-8")) == head
    print(f"{arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
