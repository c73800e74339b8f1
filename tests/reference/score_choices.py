# SPDX-License-Identifier: Apache-2.0
"""Compares a server's log-probabilities of prompts with what `evaluate --metric choice` says of the same file.

The requests are those of lm-eval's local-completions (echo, logprobs 1, max_tokens 1, tokens instead of text). The file
has a prompt, choices and an answer in each line, as for `evaluate`. Needs Python's tokenizers.

    python3 tests/reference/score_choices.py URL MODEL_NAME TOKENIZER_JSON END_TOKEN EVALUATE MODEL_FILE DATA
"""
import json
import subprocess
import sys
import urllib.request

from tokenizers import Tokenizer


def log_probability(url, model, context, continuation):
    """Of a continuation's tokens behind a context's, as the sum that lm-eval takes."""
    body = {"model": model, "prompt": [context + continuation], "temperature": 0, "max_tokens": 1, "logprobs": 1,
            "seed": 1234, "echo": True}
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request) as reply:
        found = json.load(reply)["choices"][0]["logprobs"]["token_logprobs"]
    assert len(found) == len(context) + len(continuation) + 1, "one number for each token, and for one more"
    return sum(found[len(context):-1])


def main():
    url, model, tokenizer, end, evaluate, model_file, data = sys.argv[1:]
    tokens = Tokenizer.from_file(tokenizer)
    loss = count = right = 0
    lines = [json.loads(line) for line in open(data, encoding="utf-8")]
    for line in lines:
        context = tokens.encode(line["prompt"], add_special_tokens=False).ids
        choices = [tokens.encode(text, add_special_tokens=False).ids + [int(end)] for text in line["choices"]]
        sums = [log_probability(url, model, context, one) for one in choices]
        right += sums.index(max(sums)) == line["answer"]
        loss -= sums[line["answer"]]
        count += len(choices[line["answer"]])
    served = {"examples": len(lines), "loss": loss / count, "choice": right / len(lines)}
    command = [evaluate, "--model", model_file, "--metric", "choice", "--data", data]
    expected = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print("served:  ", json.dumps(served))
    print("evaluate:", json.dumps(expected))
    alike = abs(served["loss"] - expected["loss"]) < 1e-3 and served["choice"] == expected["choice"]
    sys.exit(0 if alike else "they differ")


if __name__ == "__main__":
    main()
