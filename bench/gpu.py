#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One table of our GPU program and of transformers + PEFT: same shapes, same tokens, same GPU.

    python3 bench/gpu.py --program build/gpu-bench/bench/gpu_bench [--shapes smollm2-135m llama-7b]

bench/gpu.sh builds the program and calls this script. Every measurement is a process of its own. Both sides have random
weights in bfloat16 and no padding. Training is one AdamW step on `batch` sequences; the loss and the head use the
response rows only, on both sides. PEFT's LoRA has rank 8 on all seven target modules of a layer: in float32 under
autocast when it trains, as PEFT does it; in bfloat16 when it generates. Attention is SDPA (PyTorch chooses the fused
kernel). Memory is the peak of each side's allocator (ours without the few buffers of a recorded decoding step). The
roofline peaks are measured: a bfloat16 matmul of 8192³ and a copy of 4 GiB.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

SHAPES = {
    "smollm2-135m": dict(vocab_size=49152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9,
                         num_key_value_heads=3, intermediate_size=1536, tie_word_embeddings=True),
    "llama-7b": dict(vocab_size=32000, hidden_size=4096, num_hidden_layers=32, num_attention_heads=32,
                     num_key_value_heads=32, intermediate_size=11008, tie_word_embeddings=False),
}
TRAINING = dict(batch=8, instruction=480, response=32)
PROMPT, NEW = 512, 128


# ---- PyTorch's side, inside its own process ---------------------------------------------------------

def build(shape, lora, adapters="float32"):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    with torch.device("cuda"):
        config = LlamaConfig(**SHAPES[shape], max_position_embeddings=4096)
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
    if lora:
        from peft import LoraConfig, get_peft_model
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, task_type="CAUSAL_LM", target_modules=[
            "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
        for name, weight in model.named_parameters():  # as after training: B starts at zero
            if "lora_" in name:
                weight.data = weight.data.to(getattr(torch, adapters))
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.01)
    return model


def pytorch_training(shape, steps):
    import torch

    model = build(shape, lora=True)
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0,
                                  fused=True)
    batch, instruction, response = (TRAINING[k] for k in ("batch", "instruction", "response"))
    ids = torch.randint(17, model.config.vocab_size, (batch, instruction + response), device="cuda")

    def step():
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16):  # for one step: it caches the adapters' bfloat16 copies
            states = model.base_model.model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
            logits = model.base_model.model.lm_head(states[:, instruction - 1:])
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, instruction:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        return loss.item()

    step()
    times = []
    for _ in range(steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = sorted(times)[len(times) // 2]
    return {"tokens_per_second": ids.numel() / seconds, "seconds_per_step": seconds,
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "peak_mib": torch.cuda.max_memory_allocated() / 2**20}


def pytorch_generation(shape, batch, lora):
    import torch

    model = build(shape, lora, adapters="bfloat16").eval()
    torch.cuda.reset_peak_memory_stats()
    ids = torch.randint(17, model.config.vocab_size, (batch, PROMPT), device="cuda")
    with torch.inference_mode():
        for _ in range(2):  # the first warms up
            output = None  # frees the KV cache of the previous round
            torch.cuda.synchronize()
            start = time.perf_counter()
            output = model(input_ids=ids, use_cache=True, logits_to_keep=1)
            token = output.logits[:, -1].argmax(-1, keepdim=True)
            token.cpu()
            prefill = time.perf_counter() - start
            start = time.perf_counter()
            for _ in range(NEW):
                output = model(input_ids=token, past_key_values=output.past_key_values, use_cache=True)
                token = output.logits[:, -1].argmax(-1, keepdim=True)
                token.cpu()
            decode = time.perf_counter() - start
    return {"prefill_tokens_per_second": batch * PROMPT / prefill, "decode_tokens_per_second": batch * NEW / decode,
            "peak_mib": torch.cuda.max_memory_allocated() / 2**20}


def measure(job):
    kind, shape, *rest = job.split(":")
    if kind == "train":
        return pytorch_training(shape, steps=int(rest[0]))
    return pytorch_generation(shape, batch=int(rest[0]), lora=kind == "generate-lora")


# ---- the table ------------------------------------------------------------------------------------------

def last_json(command):
    process = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    lines = process.stdout.strip().splitlines()
    try:
        return json.loads(lines[-1]) if process.returncode == 0 and lines else None
    except ValueError:  # nan: a run that diverged is not a measurement
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, type=pathlib.Path)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return

    ours = lambda shape, what, **settings: last_json(
        [arguments.program, shape, what, *(f"{name}={value}" for name, value in settings.items())])
    theirs = lambda job: last_json([sys.executable, __file__, "--program", arguments.program, "--measure", job])
    roof = ours("", "roof")
    if roof is None:
        sys.exit("no roof: is there a GPU?")
    print(f"{roof['device']}: products {roof['product_rate'] / 1e12:.0f} TFLOP/s, "
          f"memory {roof['memory_rate'] / 1e12:.2f} TB/s")
    found = {"roof": roof}

    def row(name, result):
        found[name] = result
        if result is None:
            print(f"{name:58} failed")
            return
        parts = [f"{result[key]:12.0f} {label}" for key, label in (
            ("tokens_per_second", "tok/s"), ("prefill_tokens_per_second", "prefill tok/s"),
            ("decode_tokens_per_second", "decode tok/s")) if key in result]
        for key, label, top in (("product_rate", "of the product roof", "product_rate"),
                                ("prefill_product_rate", "of the product roof in prefill", "product_rate"),
                                ("decode_bytes_per_second", "of the memory roof in decoding", "memory_rate")):
            if key in result:
                parts.append(f"{result[key] / roof[top]:.2f} {label}")
        print(f"{name:58} {'  '.join(parts)}  {result['peak_mib']:.0f} MiB", flush=True)

    for shape in arguments.shapes:
        for late in (0, 1):
            row(f"{shape} training, iapt {'late' if late else 'front'}",
                ours(shape, "train", late=late, steps=arguments.steps, **TRAINING))
        row(f"{shape} training, PEFT LoRA", theirs(f"train:{shape}:{arguments.steps}"))
        for batch in arguments.batches:
            for what in ("generate-base", "generate"):
                row(f"{shape} batch {batch}, iapt {'base model' if what == 'generate-base' else 'front'}",
                    ours(shape, what, batch=batch, prompt=PROMPT, new=NEW))
            row(f"{shape} batch {batch}, transformers", theirs(f"generate:{shape}:{batch}"))
            row(f"{shape} batch {batch}, PEFT LoRA unmerged", theirs(f"generate-lora:{shape}:{batch}"))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
