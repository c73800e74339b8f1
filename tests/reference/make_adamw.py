#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ten steps of PyTorch's AdamW with clipping, in double precision: writes tests/data/adamw.json.

Usage: make_adamw.py OUTPUT      (needs torch)
"""
import json
import sys

import torch


def rounded(x):
    return [float(v) for v in x.flatten()]


def main():
    generator = torch.Generator().manual_seed(5)

    def draw(n):
        return torch.randn(n, generator=generator, dtype=torch.float64)

    # Two groups with settings of their own; the second parameter has no gradient in steps 3 and 4.
    groups = [
        {"names": ["a", "b"], "learning_rate": 3e-2, "weight_decay": 0.1, "clip_norm": 1.0},
        {"names": ["c"], "learning_rate": 1e-3, "weight_decay": 0.0, "clip_norm": 0.5},
    ]
    sizes = {"a": 37, "b": 5, "c": 12}
    parameters = {name: torch.nn.Parameter(draw(n)) for name, n in sizes.items()}
    start = {name: rounded(p.detach()) for name, p in parameters.items()}
    optimizer = torch.optim.AdamW(
        [{"params": [parameters[n] for n in g["names"]], "lr": g["learning_rate"], "weight_decay": g["weight_decay"]}
         for g in groups], betas=(0.9, 0.999), eps=1e-8)
    steps = []
    for step in range(10):
        factor = 1 - step / 10
        for shown, g in zip(optimizer.param_groups, groups):
            shown["lr"] = g["learning_rate"] * factor
        # Long gradients at first (clipped), short ones later (not).
        length = 2.0 if step < 5 else 0.05
        gradients = {n: draw(size) * length for n, size in sizes.items() if not (n == "b" and step in (3, 4))}
        optimizer.zero_grad(set_to_none=True)
        for n, g in gradients.items():
            parameters[n].grad = g.clone()
        norms = [float(torch.nn.utils.clip_grad_norm_([parameters[n] for n in g["names"]], g["clip_norm"]))
                 for g in groups]
        optimizer.step()
        steps.append({"factor": factor, "gradients": {n: rounded(g) for n, g in gradients.items()}, "norms": norms,
                      "values": {n: rounded(p.detach()) for n, p in parameters.items()}})
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump({"torch": torch.__version__, "groups": groups, "start": start, "steps": steps}, out, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
