#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# PEFT's generate() does not say what a prefix-tuned model says.
#
# Versions: peft 0.21.2, transformers 5.24.0, torch 2.15.0, Python 3.11; a random Llama of two layers, in double.
#
# Behaviour: forward() of a model with a PrefixTuning adapter reads the prefix. generate() does not: its text is that of
# the bare model, token for token. With use_cache=False the first new token is that of forward(); later ones are not,
# for generate() hands the model a cache of its own (`cache`) beside the prefix (`past_key_values`), and the model adds
# all tokens to it again at every step. The right text is forward() called once for each token.
#
# Seen: "generate() is the bare model's text: 6 of 6; with use_cache=False the first token is forward()'s: 6 of 6, the
# text: 0 of 6".
#
# Installs the packages in a temporary folder (some 7 GB for the time of the run, mostly torch's), runs them there, and
# fails if the behaviour is another one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile torch==2.15.0 transformers==5.24.0 peft==0.21.2
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import warnings

import torch
from peft import PrefixTuningConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

NEW, RUNS = 10, 6
logging.set_verbosity_error()
warnings.filterwarnings("ignore")


@torch.no_grad()
def texts(seed):
    """What forward() says, the bare model, generate(), and generate(use_cache=False)."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        eos_token_id=None, pad_token_id=0, initializer_range=0.3)).double().eval()
    ids = torch.randint(1, 64, (1, 8))

    def generated(lm, **options):
        text = lm.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False,
                           **options)
        return text[0, 8:].tolist()

    bare = generated(model)
    adapted = get_peft_model(model, PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")).double().eval()
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.normal_()
    text = ids
    for _ in range(NEW):
        logits = adapted(input_ids=text, attention_mask=torch.ones_like(text)).logits[0, -1]
        text = torch.cat([text, logits.argmax()[None, None]], 1)
    return text[0, 8:].tolist(), bare, generated(adapted), generated(adapted, use_cache=False)


runs = [texts(seed) for seed in range(RUNS)]
assert all(forward != bare for forward, bare, _, _ in runs), "forward() leaves the prefix out, too"
as_bare = sum(with_cache == bare for _, bare, with_cache, _ in runs)
first = sum(forward[0] == without[0] for forward, _, _, without in runs)
whole = sum(forward == without for forward, _, _, without in runs)
print(f"generate() is the bare model's text: {as_bare} of {RUNS}; with use_cache=False the first token is forward()'s: "
      f"{first} of {RUNS}, the text: {whole} of {RUNS}")
if (as_bare, first, whole) != (RUNS, RUNS, 0):
    raise SystemExit("the behaviour has changed")
PYTHON
