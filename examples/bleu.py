# SPDX-License-Identifier: Apache-2.0
"""Scores generated text with sacrebleu against several references for each prompt.

    python3 examples/bleu.py --generated FILE --references e2e/test.references.jsonl

Needs sacrebleu. FILE has either JSON lines {"prompt", "generated"} in any order, or plain text: one generated text per
line in the order of the references; an empty line is an empty text. The references are JSON lines {"prompt",
"references"}. A prompt without a generated text is an error unless --partial is given.

Prints one JSON line: corpus BLEU (0 to 100) and chrF, the number of prompts, and sacrebleu's signature.
"""
import argparse
import json


def read_lines(path):
    with open(path, encoding="utf-8", newline="\n") as file:  # a carriage return alone does not end a line
        return [line.removesuffix("\r") for line in file.read().removesuffix("\n").split("\n")]


def read_json_lines(path):
    return [json.loads(line) for line in read_lines(path) if line.strip()]


def read_generated(path, prompts):
    """Prompt -> generated text."""
    lines = read_lines(path)
    if lines[0].startswith("{"):
        return {fields["prompt"]: fields["generated"] for fields in read_json_lines(path)}
    if len(lines) > len(prompts):
        raise SystemExit(f"{path}: {len(lines)} texts for {len(prompts)} prompts")
    return dict(zip(prompts, lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generated", required=True)
    parser.add_argument("--references", required=True)
    parser.add_argument("--partial", action="store_true", help="score only the prompts with a generated text")
    arguments = parser.parse_args()
    from sacrebleu.metrics import BLEU, CHRF  # imported here, so that reading can be tested without it

    references = {fields["prompt"]: fields["references"] for fields in read_json_lines(arguments.references)}
    generated = read_generated(arguments.generated, list(references))
    scored = [prompt for prompt in references if prompt in generated]
    if len(scored) < len(references) and not arguments.partial or not scored:
        raise SystemExit(f"{arguments.generated}: has {len(scored)} of {len(references)} prompts")

    texts = [generated[prompt].strip() for prompt in scored]
    most = max(len(references[prompt]) for prompt in scored)
    # sacrebleu needs lists of the i-th references of all prompts, with None where a prompt has fewer
    streams = [[(references[prompt] + [None] * most)[i] for prompt in scored] for i in range(most)]
    bleu = BLEU()
    print(json.dumps({"prompts": len(scored), "bleu": bleu.corpus_score(texts, streams).score,
                      "chrf": CHRF().corpus_score(texts, streams).score, "signature": str(bleu.get_signature())}))


if __name__ == "__main__":
    main()
