#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What transformers' logits processors leave of a row of logits, in double precision: writes tests/data/sampling.json.

Usage: make_sampling.py OUTPUT      (needs torch, transformers)

    {"versions": {...}, "prompt": [ids], "generated": [ids], "rows": {name: [50 logits]},
     "cases": [{"row": name, "options": {...}, "kept": [ids], "log_probabilities": [of these]}]}

The processors stand in the order of transformers' generate(). It has no frequency and presence penalty: they are OpenAI's
formula, between its repetition penalty and its temperature, where vLLM has them. torch does not say which of equal
logits a top-p keeps, so no case cuts there.
"""
import json
import sys

import torch
import transformers
from transformers import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                          TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

VOCABULARY = 50
PROMPT, GENERATED = [3, 3, 7, 19, 0, 49], [7, 11, 11, 11, 30, 49, 2]


class OpenAIPenalties:
    """mu[j] - c[j] * frequency - (c[j] > 0) * presence, with c[j] counted over generated tokens."""

    def __init__(self, frequency, presence):
        self.frequency, self.presence = frequency, presence

    def __call__(self, input_ids, scores):
        counts = torch.bincount(input_ids[0, len(PROMPT):], minlength=VOCABULARY).to(scores)
        return scores - counts * self.frequency - (counts > 0).to(scores) * self.presence


def rows():
    generator = torch.Generator().manual_seed(11)

    def draw():
        return torch.randn(VOCABULARY, generator=generator, dtype=torch.float64)

    ties = torch.tensor([2.0, -1.0, 0.5, 1.5, 2.0] * (VOCABULARY // 5), dtype=torch.float64)
    peak = draw()
    peak[17] = 60.0
    return {"plain": 3 * draw(), "ties": ties, "flat": torch.full((VOCABULARY,), -4.0, dtype=torch.float64),
            "peak": peak, "wide": 1e4 * draw(), "negative": 2 * draw() - 30, "float": 3 * draw().float().double()}


CASES = [
    ("plain", {"temperature": 1.0}),
    ("plain", {"temperature": 0.3}),
    ("plain", {"temperature": 7.5}),
    ("plain", {"temperature": 1.0, "top_k": 1}),
    ("plain", {"temperature": 1.0, "top_k": 10}),
    ("plain", {"temperature": 1.0, "top_k": 500}),
    ("plain", {"temperature": 1.0, "top_p": 0.9}),
    ("plain", {"temperature": 1.0, "top_p": 1e-9}),
    ("plain", {"temperature": 1.0, "top_p": 0.999999}),
    ("plain", {"temperature": 1.0, "min_p": 0.05}),
    ("plain", {"temperature": 1.0, "min_p": 1.0}),
    ("plain", {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.1}),
    ("plain", {"temperature": 2.0, "top_k": 20, "top_p": 0.8, "min_p": 0.1}),
    ("plain", {"temperature": 1.0, "repetition_penalty": 1.3}),
    ("plain", {"temperature": 1.0, "repetition_penalty": 0.5}),
    ("plain", {"temperature": 0.8, "frequency_penalty": 0.6, "presence_penalty": 0.4}),
    ("plain", {"temperature": 0.8, "frequency_penalty": -1.5, "presence_penalty": 2.0}),
    ("plain", {"temperature": 1.2, "top_k": 30, "top_p": 0.95, "min_p": 0.02, "repetition_penalty": 1.8,
               "frequency_penalty": 0.3, "presence_penalty": -0.2}),
    ("ties", {"temperature": 1.0, "top_k": 3}),
    ("ties", {"temperature": 1.0, "top_k": 20}),
    ("ties", {"temperature": 1.0, "top_k": 21}),
    ("ties", {"temperature": 0.5, "top_k": 25, "min_p": 0.9}),
    ("ties", {"temperature": 1.0, "min_p": 0.5}),
    ("flat", {"temperature": 1.0, "top_k": 5}),
    ("flat", {"temperature": 0.1, "min_p": 1.0, "repetition_penalty": 1.5}),
    ("peak", {"temperature": 1.0, "top_p": 0.99}),
    ("peak", {"temperature": 20.0, "top_p": 0.99, "repetition_penalty": 1.1}),
    ("wide", {"temperature": 1.0}),
    ("wide", {"temperature": 1e3, "top_p": 0.7, "repetition_penalty": 2.0}),
    ("negative", {"temperature": 1.0, "top_k": 12, "repetition_penalty": 1.2}),
    ("float", {"temperature": 1.0, "top_k": 40, "top_p": 0.5}),
]


def processors(options):
    found = LogitsProcessorList()
    if "repetition_penalty" in options:
        found.append(RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
    found.append(OpenAIPenalties(options.get("frequency_penalty", 0.0), options.get("presence_penalty", 0.0)))
    found.append(TemperatureLogitsWarper(options["temperature"]))
    if "top_k" in options:
        found.append(TopKLogitsWarper(options["top_k"]))
    if "top_p" in options:
        found.append(TopPLogitsWarper(options["top_p"]))
    if "min_p" in options:
        found.append(MinPLogitsWarper(options["min_p"]))
    return found


def main():
    logits, ids = rows(), torch.tensor([PROMPT + GENERATED])
    cases = []
    for row, options in CASES:
        scores = processors(options)(ids, logits[row].clone()[None])[0]
        kept = torch.nonzero(torch.isfinite(scores)).flatten()
        values = torch.log_softmax(scores, dim=-1)[kept]
        cases.append({"row": row, "options": options, "kept": kept.tolist(), "log_probabilities": values.tolist()})
    document = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}, "prompt": PROMPT,
                "generated": GENERATED, "rows": {name: row.tolist() for name, row in logits.items()}, "cases": cases}
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(document, out, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
