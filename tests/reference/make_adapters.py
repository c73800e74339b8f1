# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/adapters/: adapters that PEFT saved for the small models, with PEFT's logits, seeded.

    python tests/reference/make_adapters.py [--out DIR]

Needs: torch, transformers, peft, safetensors; seconds.

A folder holds what `save_pretrained` writes (adapter_config.json, adapter_model.safetensors) and
logits.json: {"model": ..., "ids": [...], "logits": [[V numbers] for each of the last rows]}. The
weights are float32 and random, LoRA's B among them; the logits are computed in double precision,
with the model in double as in make_small_models.py.
"""
import argparse
import json
import pathlib
import warnings

import torch
from peft import (EvaConfig, IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, get_peft_model,
                  initialize_lora_eva_weights)
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from make_small_models import in_double

ROWS = 4  # whose logits are stored

ADAPTERS = {
    "lora_all": ("llama_grouped", LoraConfig(r=3, lora_alpha=5, target_modules="all-linear", task_type="CAUSAL_LM")),
    # some layers, another scale, biases in the model
    "lora_some": ("llama_biases_rope3", LoraConfig(
        r=4, lora_alpha=6, lora_dropout=0.05, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"],
        layers_to_transform=[1], task_type="CAUSAL_LM")),
    # another rank for some modules; more rows in q than states
    "lora_ranks": ("llama_tied", LoraConfig(
        r=2, lora_alpha=4, target_modules=["k_proj", "o_proj", "gate_proj"], rank_pattern={"o_proj": 5},
        task_type="CAUSAL_LM")),
    # sites by a pattern, stored in 16 bits
    "lora_bfloat16": ("qwen2", LoraConfig(
        r=2, lora_alpha=4, target_modules=r".*\.1\.self_attn\.[qo]_proj", task_type="CAUSAL_LM")),
    "prefix": ("llama_biases_rope3", PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")),
    # trained through a projection, which the folder no longer shows; one key/value head
    "prefix_projected": ("qwen2", PrefixTuningConfig(
        num_virtual_tokens=2, prefix_projection=True, encoder_hidden_size=7, token_dim=32, task_type="CAUSAL_LM")),
    # ranks by the variance of what a module reads, and for each an alpha of its own
    "lora_eva": ("llama_grouped", LoraConfig(
        r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights="eva",
        eva_config=EvaConfig(rho=2.0, use_label_mask=False), task_type="CAUSAL_LM")),
    # of several patterns that fit a module the first counts, in an order that is not the alphabet's
    "lora_alphas": ("llama_tied", LoraConfig(
        r=2, lora_alpha=4, target_modules=["q_proj", "up_proj", "down_proj"],
        alpha_pattern={"q_proj": 3, "model.layers.1.self_attn.q_proj": 9, "layers.0.mlp.up_proj": 7,
                       "^model.layers.1.mlp.up_proj": 1, "^layers.1.mlp.down_proj": 9, "up_proj": 2},
        task_type="CAUSAL_LM")),
    # PEFT's choice of modules for Llama, biases in the model
    "ia3": ("qwen2", IA3Config(task_type="CAUSAL_LM")),
    # every linear map, only outputs; two vectors for the feed-forward's inner activations
    "ia3_all": ("llama_grouped", IA3Config(
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        feedforward_modules=["down_proj"], task_type="CAUSAL_LM")),
}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def make(folder, models, model_name, config, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # PEFT's own starting values
    adapted = get_peft_model(load(models / model_name), config)
    if getattr(config, "init_lora_weights", None) == "eva":
        ids = torch.randint(0, adapted.config.vocab_size, (8, 4, 16), generator=generator)
        read = [{"input_ids": batch, "attention_mask": torch.ones_like(batch)} for batch in ids]
        initialize_lora_eva_weights(adapted, read, show_progress_bar=False)
    for name, weight in adapted.named_parameters():
        if weight.requires_grad:
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    if folder.name.endswith("bfloat16"):
        adapted.bfloat16()
    adapted.eval().save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    written = json.loads((folder / "adapter_config.json").read_text())
    written["base_model_name_or_path"] = model_name  # not a path of the machine that made it
    if isinstance(written.get("target_modules"), list):
        written["target_modules"].sort()  # PEFT writes a set in any order
    if getattr(config, "alpha_pattern", None):
        written["alpha_pattern"] = config.alpha_pattern  # PEFT sorts
    (folder / "adapter_config.json").write_text(json.dumps(written, indent=2) + "\n")

    single = PeftModel.from_pretrained(load(models / model_name), folder).eval()
    # Double before the adapter comes, which then is cast to double; its norms and angles too.
    double = PeftModel.from_pretrained(in_double(load(models / model_name)), folder).eval().double()
    bare = in_double(load(models / model_name))
    ids = torch.randint(0, bare.config.vocab_size, (1, 11), generator=generator)
    logits, without = double(input_ids=ids).logits[0], bare(ids).logits[0]
    assert logits.dtype == torch.float64
    worst = (single(input_ids=ids).logits[0] - logits).abs().max().item()
    assert worst < 1e-4 * logits.std().item(), worst
    moved = ((logits - without).std() / without.std()).item()
    assert moved > 0.05, moved
    rows = [[float(f"{x:.12g}") for x in row] for row in logits[-ROWS:].tolist()]
    stored = {"model": model_name, "ids": ids[0].tolist(), "logits": rows}
    (folder / "logits.json").write_text(json.dumps(stored).replace("], ", "],\n") + "\n")
    print(f"{folder.name}: moves logits by {moved:.2g} of their deviation, float32 within {worst:.2g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = pathlib.Path(__file__).resolve().parent.parent / "data"
    parser.add_argument("--out", default=data / "adapters", type=pathlib.Path)
    out = parser.parse_args().out
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for seed, (name, (model, config)) in enumerate(ADAPTERS.items()):
        (out / name).mkdir(parents=True, exist_ok=True)
        make(out / name, data / "models", model, config, seed + 100)


if __name__ == "__main__":
    main()
