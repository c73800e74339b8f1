# SPDX-License-Identifier: Apache-2.0
"""Loads a GGUF model and its tokenizer with Hugging Face's libraries, as the judge of our own.

Needs: torch, transformers, gguf, tokenizers. Nothing in the build needs them.

The model is what transformers makes of the file. Checked for SmolLM2-135M-Instruct.Q4_1 against
the `gguf` package's own dequantisation, every tensor: equal bit for bit, once the rows of q and k
are put back from the file's interleaved rotary order to transformers' half-split order; the head is
the token embedding (the file has no output.weight). Its epsilon is the file's float,
9.999999747378752e-06, not 1e-5.

The tokenizer is *not* what transformers makes of the file, which lacks the rule of the
pre-tokenizer `smollm` that every digit stands alone. 21 of the 256 bytes occur in no token of the
vocabulary (04 06 13 14 16 1d among those that valid UTF-8 has, and f1 f2 of rare planes):
`tokenizers` drops such a byte without a word. No beginning-of-text token is added
(add_bos_token is false).
"""
import functools

from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONTROL = 3  # the token type that marks special tokens


@functools.lru_cache(maxsize=1)
def metadata(path):
    """The key/value part of the file, as a dictionary of Python values."""
    return {key: field.contents() for key, field in GGUFReader(path).fields.items()}


def load_tokenizer(path):
    """The byte-level BPE tokenizer of a GGUF file whose pre-tokenizer is `smollm`."""
    meta = metadata(str(path))
    kind = (meta["tokenizer.ggml.model"], meta["tokenizer.ggml.pre"])
    if kind != ("gpt2", "smollm"):
        raise SystemExit(f"{path}: this reference knows the tokenizer gpt2/smollm, not {'/'.join(kind)}")
    tokens = meta["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    types = meta["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token, t in zip(tokens, types) if t == CONTROL])
    return tokenizer


def end_token(path):
    """The id that ends a response."""
    return metadata(str(path))["tokenizer.ggml.eos_token_id"]


def load_model(path):
    """The causal language model in float32, without gradients and in evaluation mode."""
    import pathlib

    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    path = pathlib.Path(path)
    model = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    return model.requires_grad_(False).eval()


SITES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def add_lora(model, rank=8, alpha=16):
    """PEFT's LoRA on all seven linear sites of every layer; needs peft."""
    import warnings

    from peft import LoraConfig, get_peft_model

    warnings.filterwarnings("ignore", category=FutureWarning)  # peft calls a deprecated name of transformers
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=SITES, task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def response_logits(model, ids, mask, wanted):
    """Logits (rows, V) of the rows that `wanted` (B, T) marks; the head runs on no other row."""
    causal = model.get_base_model()
    return causal.lm_head(causal.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[wanted])
