# SPDX-License-Identifier: Apache-2.0
"""Trains PEFT's LoRA on prompt/completion lines: its dev loss is compared with iapt's.

    python bench/compare_quality.py --model SmolLM2-135M-Instruct.Q4_1.gguf \\
        --train train.jsonl --dev dev.jsonl --epochs 1 [--limit 400] [--dev-limit 100]

Needs torch, transformers, peft, gguf, tokenizers. It computes in float32 on the CPU, about 190 tokens
per second on two cores.

The lines {"prompt", "completion"} are used as they are: prompt and completion are tokenized
separately, without a template, and the end token is appended. LoRA of rank 8 on all seven target
modules; AdamW (betas 0.9, 0.999, eps 1e-8, no weight decay), linear decay to 0 after 6 % of warm-up,
gradient norm clipped at 1. The loss is the mean over all response tokens of a batch, end token
included. Batches are drawn again for each epoch and padded to their longest line; the head runs on
response rows only.

Prints one JSON line per evaluation, first that of the base model. `dev_loss` is nats per response
token; `tokens_per_second` counts tokens without padding, and the time of training only.
"""
import argparse
import json
import math
import pathlib
import random
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "reference"))
from reference_model import add_lora, end_token, load_model, load_tokenizer, response_logits  # noqa: E402


def read_examples(path, limit, max_length, tokenizer, end):
    """The first `limit` lines as pairs (instruction ids, response ids); longer ones are left out."""
    examples, left_out = [], 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if limit and number > limit:
                break
            try:
                fields = json.loads(line)
                texts = fields["prompt"], fields["completion"]
            except (ValueError, KeyError, TypeError) as reason:
                raise SystemExit(f"{path}:{number}: not a line with prompt and completion: {reason!r}")
            instruction, response = (tokenizer.encode(text).ids for text in texts)
            if not instruction or len(instruction) + len(response) + 1 > max_length:
                left_out += 1
            else:
                examples.append((instruction, response + [end]))
    print(f"{path}: {len(examples)} examples, {left_out} left out (empty or over {max_length} tokens)", file=sys.stderr)
    return examples


def padded(batch):
    """Ids and mask (B, T) of a batch, and the mask of its response tokens."""
    longest = max(len(instruction) + len(response) for instruction, response in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask, response_mask = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for row, (instruction, response) in enumerate(batch):
        length = len(instruction) + len(response)
        ids[row, :length] = torch.tensor(instruction + response)
        mask[row, :length] = 1
        response_mask[row, len(instruction):length] = True
    return ids, mask, response_mask


def summed_loss(model, batch):
    """Sum of the response tokens' negative log-likelihoods, and their number."""
    ids, mask, response = padded(batch)
    logits = response_logits(model, ids, mask, response.roll(-1, dims=1))  # row t predicts token t + 1
    return torch.nn.functional.cross_entropy(logits, ids[response], reduction="sum"), int(response.sum())


@torch.no_grad()
def dev_loss(model, examples, size):
    model.eval()
    ordered = sorted(examples, key=lambda example: len(example[0]) + len(example[1]))
    sums = [summed_loss(model, ordered[i:i + size]) for i in range(0, len(ordered), size)]
    model.train()
    return sum(loss.item() for loss, _ in sums) / sum(count for _, count in sums)


def factor(step, steps):
    """The learning rate's factor at a step, counted from 0: it rises over 6 % of the steps, then falls to 0."""
    warm_up = max(1, round(0.06 * steps))
    return (step + 1) / warm_up if step < warm_up else (steps - step) / max(1, steps - warm_up)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--dev", required=True)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--alpha", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=0, help="only the first lines of --train (0: all)")
    parser.add_argument("--dev-limit", type=int, default=0, help="only the first lines of --dev (0: all)")
    parser.add_argument("--max-length", type=int, default=768, help="tokens of a line, end token included")
    parser.add_argument("--eval-every", type=int, default=0, help="steps between evaluations (0: every epoch)")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    tokenizer, end = load_tokenizer(arguments.model), end_token(arguments.model)
    train = read_examples(arguments.train, arguments.limit, arguments.max_length, tokenizer, end)
    dev = read_examples(arguments.dev, arguments.dev_limit, arguments.max_length, tokenizer, end)
    if not train or not dev:
        raise SystemExit("nothing to train on or nothing to evaluate on")

    model = add_lora(load_model(arguments.model), arguments.rank, arguments.alpha)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=arguments.learning_rate, weight_decay=0.0)
    steps = arguments.epochs * math.ceil(len(train) / arguments.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, steps))
    order, step = random.Random(arguments.seed), 0
    loss_sum, tokens, seconds = 0.0, 0, 0.0  # since the last evaluation

    def report():
        line = {"step": step, "epoch": round(step * arguments.epochs / steps, 3),
                "dev_loss": dev_loss(model, dev, arguments.batch)}
        if seconds:
            line |= {"train_loss": loss_sum / step_count, "tokens_per_second": tokens / seconds, "seconds": seconds}
        print(json.dumps(line | {"parameters": sum(p.numel() for p in trained)}), flush=True)

    step_count = 0
    report()
    for _ in range(arguments.epochs):
        shuffled = order.sample(train, len(train))
        for i in range(0, len(shuffled), arguments.batch):
            batch, start = shuffled[i:i + arguments.batch], time.perf_counter()
            loss, count = summed_loss(model, batch)
            loss = loss / count
            if not math.isfinite(loss.item()):
                raise SystemExit(f"step {step + 1}: the loss is {loss.item()}; try a lower --learning-rate")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            step, step_count, loss_sum = step + 1, step_count + 1, loss_sum + loss.item()
            tokens += sum(len(instruction) + len(response) for instruction, response in batch)
            seconds += time.perf_counter() - start
            if step == steps or (step % arguments.eval_every == 0 if arguments.eval_every
                                 else i + arguments.batch >= len(shuffled)):
                report()
                loss_sum, tokens, seconds, step_count = 0.0, 0, 0.0, 0


if __name__ == "__main__":
    main()
