# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/models/: small random models of each family with their logits, seeded.

    python tests/reference/make_small_models.py [--out DIR]

Needs: gguf, torch, transformers, safetensors; seconds.

A model folder holds config.json, model.safetensors (float32) and logits.json:
    {"sequences": [{"ids": [...], "logits": [[V numbers] for each row]}, ...]}
The logits are computed in double precision from the float32 weights. transformers keeps its norms
and rotary angles in float32 even in a double model (a difference of 1e-6 or so), so those two
modules are replaced by double ones here, which are checked against the originals.

config.json is what transformers 5 writes ("rope_parameters", "dtype"); in the models marked `older`
it is rewritten in the spelling of transformers 4, which most published models have ("rope_theta",
"rope_scaling", "torch_dtype"), and read back to the same logits.

Three further folders hold a config.json alone, which a reader must refuse: an unknown architecture
and unknown rope types in the new and the old spelling.
"""
import argparse
import json
import math
import pathlib

import gguf
import torch
from safetensors.numpy import load_file
from torch import nn
from transformers import AutoModelForCausalLM, GraniteConfig, LlamaConfig, Qwen2Config, Qwen3Config, SmolLM3Config
from transformers.utils import logging

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}

MODELS = {
    # grouped-query attention, own head
    "llama_grouped": (False, LlamaConfig(
        vocab_size=128, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=1, eos_token_id=2)),
    # tied head, odd sizes, H * E = 60 is not D = 36
    "llama_tied": (True, LlamaConfig(
        vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=3, head_dim=10, max_position_embeddings=128, rms_norm_eps=1e-6,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        bos_token_id=1, eos_token_id=2)),
    # biases of q, k and v that the configuration does not mention; one key/value head
    "qwen2": (False, Qwen2Config(
        vocab_size=101, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, max_position_embeddings=128, rms_norm_eps=1e-6, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, bos_token_id=1, eos_token_id=2)),
    # biases everywhere; frequencies of which some stay, some are blended and some are divided by 8
    "llama_biases_rope3": (True, LlamaConfig(
        vocab_size=96, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-5, tie_word_embeddings=False,
        attention_bias=True, mlp_bias=True, rope_parameters=LLAMA3, bos_token_id=1, eos_token_id=[2, 3])),
    # a norm of each head of queries and keys; H * E = 40 is not D = 32
    "qwen3": (False, Qwen3Config(
        vocab_size=99, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=10, max_position_embeddings=128, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, bos_token_id=1, eos_token_id=2)),
    # the fourth layer has no RoPE
    "smollm3": (True, SmolLM3Config(
        vocab_size=95, hidden_size=24, intermediate_size=36, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 50000.0}, bos_token_id=1,
        eos_token_id=2, pad_token_id=None)),
    # four factors
    "granite": (True, GraniteConfig(
        vocab_size=94, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=True,
        embedding_multiplier=3.0, attention_multiplier=0.1875, residual_multiplier=0.375, logits_scaling=2.5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=1, eos_token_id=2)),
}


class DoubleNorm(nn.Module):
    """x / rms(x) * weight."""

    def __init__(self, norm):
        super().__init__()
        self.weight, self.epsilon = norm.weight, norm.variance_epsilon

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


class DoubleRope(nn.Module):
    """Cosines and sines of position times frequency."""

    def __init__(self, config):
        super().__init__()
        rope = config.rope_parameters
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        frequency = rope["rope_theta"] ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        if rope["rope_type"] == "llama3":  # long waves are stretched by the factor, the middle is blended
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            rotations = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
            kept = ((rotations - low) / (high - low)).clamp(0, 1)
            assert (kept == 0).any() and (kept == 1).any() and ((kept > 0) & (kept < 1)).any()
            frequency = frequency * (kept + (1 - kept) / rope["factor"])
        self.frequency = frequency

    def forward(self, x, position_ids):
        angles = position_ids[..., None].double() * self.frequency.repeat(2)
        return angles.cos(), angles.sin()


def in_double(model):
    """Turns the model to double precision, its norms and rotary angles too."""
    rope = DoubleRope(model.config)
    torch.testing.assert_close(model.model.rotary_emb.inv_freq.double(), rope.frequency, rtol=1e-6, atol=0)
    model.double()
    model.model.rotary_emb = rope
    model.model.norm = DoubleNorm(model.model.norm)
    for layer in model.model.layers:
        layer.input_layernorm = DoubleNorm(layer.input_layernorm)
        layer.post_attention_layernorm = DoubleNorm(layer.post_attention_layernorm)
        for name in ("q_norm", "k_norm"):
            if hasattr(layer.self_attn, name):
                setattr(layer.self_attn, name, DoubleNorm(getattr(layer.self_attn, name)))
    return model


def random_weights(model, generator):
    for name, weight in model.named_parameters():
        scale = 0.2 if "norm" in name else 0.5 if name.endswith("bias") else 0.3
        centre = 1.0 if "norm" in name else 0.0
        weight.data = centre + scale * torch.randn(weight.shape, generator=generator)


def older_spelling(config):
    """The same configuration as transformers 4 wrote it."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.0"
    return config


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


@torch.no_grad()
def make(folder, older, config, seed):
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).float().eval()
    random_weights(model, generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if older:
        write_json(folder / "config.json", older_spelling(json.loads((folder / "config.json").read_text())))

    single = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert single.config.rope_parameters == config.rope_parameters
    double = in_double(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval())
    sequences, worst, spread = [], 0.0, 0.0
    for length in (5, 19):
        ids = torch.randint(0, config.vocab_size, (1, length), generator=generator)
        logits = double(ids).logits[0]
        assert logits.dtype == torch.float64
        worst = max(worst, (single(ids).logits[0] - logits).abs().max().item())
        spread = logits.std().item()
        rows = [[float(f"{x:.12g}") for x in row] for row in logits.tolist()]
        sequences.append({"ids": ids[0].tolist(), "logits": rows})
    assert worst < 1e-4 * spread, worst
    (folder / "logits.json").write_text(json.dumps({"sequences": sequences}).replace("], ", "],\n") + "\n")
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    print(f"{folder.name}: logits of std {spread:.2g}, float32 within {worst:.2g}; bytes {sizes}")


GGUF = ("qwen3", "smollm3", "granite")  # models that are written in this format, too
INTERLEAVED = ("smollm3", "granite")  # families whose pairs of RoPE are adjacent rows there
# Names of GGUF's tensors, after "blk.N." for those of a layer.
GGUF_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
              "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
              "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
              "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
              "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def write_gguf(folder, config):
    """The same model in GGUF."""
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer = gguf.GGUFWriter(folder / "model.gguf", config.model_type)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if config.model_type == "granite":
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    for name, weight in load_file(folder / "model.safetensors").items():
        stem, kind = name.rsplit(".", 1)
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            stem = f"blk.{layer}.{GGUF_NAMES[part]}"
        else:
            stem = GGUF_NAMES[stem]
        if config.model_type in INTERLEAVED and stem.endswith(("attn_q", "attn_k")):
            halves = weight.reshape(-1, 2, head_size // 2, weight.shape[1])
            weight = halves.swapaxes(1, 2).reshape(weight.shape)
        writer.add_tensor(f"{stem}.{kind}", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_refused(out):
    """Configurations that a reader must refuse by name."""
    known = older_spelling(json.loads((out / "llama_grouped" / "config.json").read_text()))
    unknown = {
        "unknown_architecture": known | {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]},
        "unknown_rope": {key: value for key, value in known.items() if not key.startswith("rope")}
        | {"rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0}},
        "unknown_rope_older": known | {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
    }
    for name, config in unknown.items():
        (out / name).mkdir(exist_ok=True)
        write_json(out / name / "config.json", config)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "data" / "models"
    parser.add_argument("--out", default=default, type=pathlib.Path)
    out = parser.parse_args().out
    logging.disable_progress_bar()
    for seed, (name, (older, config)) in enumerate(MODELS.items()):
        make(out / name, older, config, seed)
        if name in GGUF:
            write_gguf(out / name, config)
    make_refused(out)


if __name__ == "__main__":
    main()
