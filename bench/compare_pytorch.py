# SPDX-License-Identifier: Apache-2.0
"""Compares speed and memory of iapt with transformers + PEFT on the same machine, in one run.

    python bench/compare_pytorch.py --model SmolLM2-135M-Instruct.Q4_1.gguf [--build build/release]

Needs torch, transformers, peft, gguf, tokenizers in the Python that runs it, and the release build
with its bench programs; a missing program is named and skipped. Takes about five minutes.

Every measurement is a process of its own, and the measurements are interleaved (A B C A B C),
because a shared machine drifts. Peak memory is the kernel's maximum resident size of that process,
measured alike for both sides; it includes loading the model, which `load_mib` shows for the Python
side. Training is one AdamW step on batch sequences of instruction and response tokens, with the
loss on the response only. PEFT's LoRA trains in two ways: as it is usually called, with labels,
where the head runs on every row ("labels"), and with the head on the response rows only ("response
rows"), as in iapt. Tokens per second count every token of the sequences (there is no padding here).

Prints a table of medians with the smallest and largest value, then one JSON line.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "reference"))


# ---- one measurement, inside its own process ------------------------------------------------------

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load(arguments, lora):
    import torch
    from reference_model import add_lora, load_model

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = load_model(arguments.model)
    if lora:
        model = add_lora(model)
        for name, weight in model.named_parameters():  # as after training: B starts at zero
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.01)
    return model


def measure_training(arguments, response_rows):
    import torch
    from reference_model import response_logits

    model = load(arguments, lora=True)
    load_mib = peak_mib()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0)
    length = arguments.instruction + arguments.response
    ids = torch.randint(17, model.config.vocab_size, (arguments.batch, length))
    mask = torch.ones_like(ids)
    target = torch.zeros_like(ids, dtype=torch.bool)
    target[:, arguments.instruction:] = True

    def step():
        optimizer.zero_grad()
        if response_rows:
            logits = response_logits(model, ids, mask, target.roll(-1, dims=1))
            loss = torch.nn.functional.cross_entropy(logits, ids[target])
        else:
            loss = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(~target, -100)).loss
        loss.backward()
        optimizer.step()
        return loss.item()

    model.train()
    step()
    start = time.perf_counter()
    for _ in range(arguments.steps):
        step()
    seconds = (time.perf_counter() - start) / arguments.steps
    return {"tokens_per_second": ids.numel() / seconds, "seconds_per_step": seconds, "load_mib": load_mib}


def measure_generation(arguments, lora):
    import torch

    model = load(arguments, lora)
    load_mib = peak_mib()
    prompt = torch.randint(17, model.config.vocab_size, (1, arguments.prompt))

    def prefill():
        return model(input_ids=prompt, use_cache=True, logits_to_keep=1)

    with torch.inference_mode():
        prefill()
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            output = prefill()
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        for _ in range(arguments.new):
            token = output.logits[:, -1].argmax(-1, keepdim=True)
            output = model(input_ids=token, past_key_values=output.past_key_values, use_cache=True)
        decode_seconds = time.perf_counter() - start
    return {"prefill_tokens_per_second": arguments.prompt / statistics.median(seconds),
            "decode_tokens_per_second": arguments.new / decode_seconds, "load_mib": load_mib}


MEASUREMENTS = {
    "PEFT LoRA training, labels": lambda a: measure_training(a, response_rows=False),
    "PEFT LoRA training, response rows": lambda a: measure_training(a, response_rows=True),
    "transformers generation": lambda a: measure_generation(a, lora=False),
    "PEFT LoRA generation, unmerged": lambda a: measure_generation(a, lora=True),
}


# ---- the table ------------------------------------------------------------------------------------

def commands(arguments):
    """The name and command line of each measurement, of both sides."""
    bench = pathlib.Path(arguments.build) / "bench"
    model = ["--model", arguments.model]
    shape = ["--batch", arguments.batch, "--instruction", arguments.instruction]
    length = ["--prompt", arguments.prompt, "--new", arguments.new]
    jobs = {name: [sys.executable, __file__, "--measure", name, *model, *shape, *length, "--response",
                   arguments.response, "--steps", arguments.steps, "--threads", arguments.threads]
            for name in MEASUREMENTS}
    shape += ["--response", arguments.response, "--steps", arguments.steps]
    for placement in ("front", "late"):
        jobs[f"iapt training, {placement}"] = [bench / "training_step", *model, "--placement", placement, *shape]
    jobs["iapt generation"] = [bench / "generation", *model, *length]
    for name, command in list(jobs.items()):
        if not pathlib.Path(command[0]).exists():
            print(f"skipped: {name} (no {command[0]}: build it, or give --build)", file=sys.stderr)
            del jobs[name]
    return {name: [str(part) for part in command] for name, command in jobs.items()}


def run(command, threads):
    """The last line of a program's output as a dictionary, with its peak memory by the kernel's count."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    lines = process.stdout.read().strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or not lines:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}, nothing to compare")
    return json.loads(lines[-1]) | {"peak_mib": usage.ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--build", default=ROOT / "build" / "release", help="folder of the release build")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="training steps measured after one to warm up")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--instruction", type=int, default=72)
    parser.add_argument("--response", type=int, default=23)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="run only measurements whose name contains this")
    parser.add_argument("--measure", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(MEASUREMENTS[arguments.measure](arguments)))
        return

    jobs = {name: command for name, command in commands(arguments).items() if arguments.only in name}
    results = {name: [] for name in jobs}
    for _ in range(arguments.repeats):
        for name, command in jobs.items():
            results[name].append(run(command, arguments.threads))

    for name, repeats in results.items():
        print(name)
        for key in repeats[0]:
            values = [repeat[key] for repeat in repeats]
            if all(isinstance(value, (int, float)) for value in values):
                print(f"  {key:28} {statistics.median(values):10.4g}   ({min(values):.4g} to {max(values):.4g})")

    def median(name, key):
        return statistics.median(repeat[key] for repeat in results[name]) if results.get(name) else None

    theirs = "PEFT LoRA training, labels"
    for placement in ("front", "late"):
        ours = f"iapt training, {placement}"
        if results.get(ours) and results.get(theirs):
            speed = median(ours, "tokens_per_second") / median(theirs, "tokens_per_second")
            memory = median(ours, "peak_mib") / median(theirs, "peak_mib")
            print(f"{ours}: {speed:.2f} times the tokens per second of {theirs}, {memory:.2f} of its memory")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
