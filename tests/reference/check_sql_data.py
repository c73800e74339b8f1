# SPDX-License-Identifier: Apache-2.0
"""Checks a folder that make_sql_data wrote: python3 check_sql_data.py DIR

Each statement must run in sqlite3 on a table of its prompt's schema and return as many columns as it asks for; its
constants must stand in its question; no question about a table may have two answers, whichever columns are shown; no
word of a table's or column's name may occur in two splits, nor one of the test's anywhere in the training text.
"""
import collections
import json
import pathlib
import re
import sqlite3
import sys

SCHEMA = re.compile(r"Table ([a-z_]+): ([a-z_]+(?:, [a-z_]+)*)\n(.+)\nSQL:")


def stem(word):
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def check_line(line):
    """Returns table, columns, question and statement of a line, after running the statement."""
    prompt, completion = line["prompt"], line["completion"]
    match = SCHEMA.fullmatch(prompt)
    assert match, f"not a schema, a question and SQL: {prompt!r}"
    table, columns, question = match[1], match[2].split(", "), match[3]
    assert completion.startswith(" SELECT ") and completion == " " + " ".join(completion.split()), repr(completion)
    statement = completion[1:]

    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    for number in range(12):
        database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", [number] * len(columns))
    asked = statement[len("SELECT "):statement.index(" FROM ")].count(",") + 1
    cursor = database.execute(statement)
    assert len(cursor.description) == asked, statement
    database.close()

    body = re.sub(r" LIMIT 1$", "", statement)  # a limit of one is "the wine with ..."
    constants = re.findall(r"'([^']*)'", body) + re.findall(r"\b\d+(?:\.\d)?\b", re.sub(r"'[^']*'", "", body))
    for constant in constants:
        assert re.search(rf"\b{re.escape(constant)}\b", question), f"{constant} of {statement} is not in {question}"
    return table, columns, question, statement


def main(folder):
    names, texts, prompts, phrasings = {}, {}, {}, {}
    for split in ("train", "dev", "test"):
        names[split], texts[split], phrasings[split] = set(), set(), set()
        tags, answers = collections.Counter(), {}
        lines = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        for line in lines:
            table, columns, question, statement = check_line(line)
            assert answers.setdefault((table, question), statement) == statement, f"two answers: {question}"
            assert prompts.setdefault(line["prompt"], split) == split, f"in two splits: {line['prompt']}"
            names[split].update(stem(word) for name in [table, *columns] for word in name.split("_"))
            texts[split].update(stem(word) for word in re.findall("[a-z]+", (line["prompt"] + statement).lower()))
            if split != "test" or "unseen_phrasing" in line["tags"]:
                phrasings[split].add(line["phrasing"])
            tags.update(line["tags"])
        shares = ", ".join(f"{tag} {100 * count / len(lines):.0f} %" for tag, count in sorted(tags.items()))
        print(f"{split}: {len(lines)} lines, {len(phrasings[split])} phrasings, {shares}")

    for a, b in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not names[a] & names[b], f"names in {a} and {b}: {names[a] & names[b]}"
    assert not names["test"] & texts["train"], f"names of the test in training: {names['test'] & texts['train']}"
    assert not phrasings["test"] & (phrasings["train"] | phrasings["dev"]), "a reserved phrasing was trained"


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
