# SPDX-License-Identifier: Apache-2.0
"""Loads an adapter with PEFT and measures it: its loss is what `evaluate --metric loss` must print.

    python tests/reference/check_adapter.py --model MODEL.gguf --adapter FOLDER --data LINES.jsonl [--limit N]

Needs: torch, transformers, peft, gguf, tokenizers. FOLDER is what `train --method lora` or
`--method p-tuning-v2` wrote (or RUN/best); the lines are {"prompt", "completion"}, taken as they
stand, the end token appended. Prints {"examples", "loss"}, nats per response token.
"""
import argparse
import json
import pathlib
import sys

import torch
from peft import PeftModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench"))
from compare_quality import read_examples  # noqa: E402
from reference_model import end_token, load_model, load_tokenizer  # noqa: E402


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int, default=0)
    arguments = parser.parse_args()
    tokenizer, end = load_tokenizer(arguments.model), end_token(arguments.model)
    examples = read_examples(arguments.data, arguments.limit, 1 << 30, tokenizer, end)
    model = PeftModel.from_pretrained(load_model(arguments.model), arguments.adapter).eval()
    loss, count = 0.0, 0
    for instruction, response in examples:
        logits = model(input_ids=torch.tensor([instruction + response])).logits[0, len(instruction) - 1:-1]
        loss += torch.nn.functional.cross_entropy(logits.double(), torch.tensor(response), reduction="sum").item()
        count += len(response)
    print(json.dumps({"examples": len(examples), "loss": loss / count}))


if __name__ == "__main__":
    main()
