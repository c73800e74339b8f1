# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/beams.json: what transformers' beam search makes of the small models, with PEFT's adapters.

    python tests/reference/make_beams.py [--out FILE]

Needs: torch, transformers, peft, safetensors; seconds. The models run in double precision
(make_small_models.py). A tenth of the vocabulary ends a continuation: random models hardly prefer
one token, and the ends of a search are what is to be compared.

    [{"model": ..., "adapter": ... or null, "prompt": [...], "stop": [...], "max_new": ..., "beams": ...,
      "length_penalty": ..., "tokens": [...]}, ...]
`tokens` are without the one that ended them.
"""
import argparse
import json
import pathlib
import warnings

import torch
from peft import PeftModel
from transformers.utils import logging

from make_adapters import load
from make_small_models import in_double

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
CASES = [("llama_grouped", None), ("qwen2", None), ("llama_grouped", "lora_all"), ("llama_tied", "lora_ranks")]


@torch.no_grad()
def search(model_name, adapter, seed):
    model = in_double(load(DATA / "models" / model_name))
    if adapter:
        model = PeftModel.from_pretrained(model, DATA / "adapters" / adapter).eval().double()
    generator = torch.Generator().manual_seed(seed)
    vocabulary = model.config.vocab_size
    for beams in (2, 3, 5):
        for length_penalty in (1.0, 0.0, 2.0, -0.5):
            prompt = torch.randint(0, vocabulary, (1, 6), generator=generator)
            stop = sorted(torch.randperm(vocabulary, generator=generator)[:vocabulary // 10].tolist())
            found = model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, num_beams=beams,
                length_penalty=length_penalty, early_stopping=False, max_new_tokens=12, eos_token_id=stop,
                pad_token_id=0)
            tokens = found[0, prompt.shape[1]:].tolist()
            ends = [i for i, token in enumerate(tokens) if token in stop]
            yield {"model": model_name, "adapter": adapter, "prompt": prompt[0].tolist(), "stop": stop, "max_new": 12,
                   "beams": beams, "length_penalty": length_penalty, "tokens": tokens[:ends[0]] if ends else tokens}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=DATA / "beams.json")
    out = parser.parse_args().out
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    found = [one for seed, case in enumerate(CASES) for one in search(*case, seed)]
    out.write_text("[\n" + ",\n".join(json.dumps(one) for one in found) + "\n]\n")
    print(f"{len(found)} searches, {sum(len(one['tokens']) < one['max_new'] for one in found)} ended by a token")


if __name__ == "__main__":
    main()
