# SPDX-License-Identifier: Apache-2.0
"""Writes SST-2 and E2E as JSONL for `train` and `evaluate`.

    python3 examples/prepare_datasets.py --datasets DIR --out DIR

Needs only Python's standard library. DIR has sst2/{train,dev,test}.tsv (sentence and label, 1 is
positive; the 872 test sentences are GLUE's development set) and e2e/e2e-dataset.zip (the release of
the E2E challenge). Files in --out:

    sst2/train.jsonl, dev.jsonl          {"prompt", "completion"}         for training
    sst2/dev.choice.jsonl, test.jsonl    {"prompt", "choices", "answer"}  evaluate --metric choice
    e2e/train.jsonl, dev.jsonl           {"prompt", "completion"}         one line per reference
    e2e/test.jsonl                       {"prompt", "completion"}         one line per reference, for the loss
    e2e/test.prompts.jsonl               {"prompt", "completion"}         one per meaning representation, to generate
    e2e/test.references.jsonl            {"prompt", "references"}         the same lines, for examples/bleu.py

Prompts end without a space and completions begin with one, as the tokenizer splits them. Runs of
white space become one space. SST-2's training lines are phrases of the treebank, and its dev.tsv is
a random part of them: use it for early stopping only. E2E lists the references of a meaning
representation together. Train and dev are shuffled here, with a fixed seed, so that their first
lines are a fair sample. Test files keep the source's order.

    examples/train --train sst2/train.jsonl --dev sst2/dev.jsonl ...
    examples/evaluate --data sst2/test.jsonl --metric choice ...
"""
import argparse
import csv
import io
import json
import pathlib
import random
import zipfile


def tidy(text):
    return " ".join(text.split())


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{path}: {len(lines)} lines")


# ---- SST-2: is the review's phrase positive? ------------------------------------------------------

SENTIMENTS = [" negative", " positive"]


def read_sst2(path):
    """Pairs (prompt, label). The files have no quoting, so a quotation mark is an ordinary character."""
    pairs = []
    with open(path, encoding="utf-8") as file:
        if next(file).rstrip("\n") != "sentence\tlabel":
            raise SystemExit(f"{path}:1: expected the heading sentence<tab>label")
        for number, line in enumerate(file, 2):
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 2 or fields[1] not in ("0", "1") or not fields[0].strip():
                raise SystemExit(f"{path}:{number}: expected a sentence, a tab and 0 or 1")
            pairs.append((f"Review: {tidy(fields[0])}\nSentiment:", int(fields[1])))
    return pairs


def prepare_sst2(source, out):
    for part in ("train", "dev", "test"):
        pairs = read_sst2(source / f"{part}.tsv")
        if part != "test":
            write(out / f"{part}.jsonl", [{"prompt": p, "completion": SENTIMENTS[label]} for p, label in pairs])
        if part != "train":
            name = "test.jsonl" if part == "test" else f"{part}.choice.jsonl"
            write(out / name, [{"prompt": p, "choices": SENTIMENTS, "answer": label} for p, label in pairs])


# ---- E2E: a sentence or two about a restaurant, from its attributes -------------------------------

def read_e2e(archive, name):
    """Prompt -> list of references, in the order of the file."""
    references = {}
    with archive.open(f"e2e-dataset/{name}") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8-sig", newline=""))
        for row in rows:
            if not row.get("mr") or not row.get("ref"):
                raise SystemExit(f"{name}:{rows.line_num}: expected the columns mr and ref")
            references.setdefault(f"{tidy(row['mr'])}\nDescription:", []).append(tidy(row["ref"]))
    return references


def prepare_e2e(source, out):
    with zipfile.ZipFile(source / "e2e-dataset.zip") as archive:
        for part, name in [("train", "trainset.csv"), ("dev", "devset.csv"), ("test", "testset_w_refs.csv")]:
            references = read_e2e(archive, name)
            lines = [{"prompt": prompt, "completion": " " + text}
                     for prompt, texts in references.items() for text in texts]
            if part != "test":
                random.Random(0).shuffle(lines)
            write(out / f"{part}.jsonl", lines)
    write(out / "test.prompts.jsonl", [{"prompt": p, "completion": " " + texts[0]} for p, texts in references.items()])
    write(out / "test.references.jsonl", [{"prompt": p, "references": texts} for p, texts in references.items()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    prepare_sst2(arguments.datasets / "sst2", arguments.out / "sst2")
    prepare_e2e(arguments.datasets / "e2e", arguments.out / "e2e")


if __name__ == "__main__":
    main()
