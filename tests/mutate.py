#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutants of headers, judged by the tests that mirror them: what survives, no test notices.

    tests/mutate.py [options] include/iapt/train include/iapt/optim/adamw.hpp ...
    tests/mutate.py --tests tests/peft/iapt/method.cpp include/iapt/peft/iapt/pooler.hpp

One small change at a time in a copy of one header: `<` for `<=`, `+` for `-`, `&&` for `||`, `true` for `false`, a
constant one more or less, a statement left out, a function left at once. Its tests (include/iapt/A/B.hpp: tests/A/B.cpp
and tests/A/B_*.cpp) are compiled with it, without optimisation, and run without the model. A line of JSON for each goes
to --out; a mutant that is there already is not tried again, so a run may be stopped and go on."""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = ["-std=c++20", "-O0", "-w", "-isystem", "/usr/include/eigen3", "-Itests", "-I.",
         "-DIAPT_TEST_BACKEND=iapt::eigen_backend", '-DIAPT_TEST_BACKEND_HEADER="iapt/backend/eigen/backend.hpp"',
         f'-DIAPT_TEST_DATA="{ROOT}/tests/data"']
LIBRARIES = ["-lpcre2-8", "-lutf8proc", "-lpthread"]

# What is replaced, and by what. Spaces around an operator: a template's brackets have none.
SWAPS = [(r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "), (r" != ", " == "),
         (r" \+ ", " - "), (r" - ", " + "), (r" && ", " || "), (r" \|\| ", " && "), (r"\btrue\b", "false"),
         (r"\bfalse\b", "true")]
NUMBER = re.compile(r"(?<![\w.'\"])(\d+)(?![\w.'\"])")
STATEMENT = re.compile(r"^\s+(?!return\b|using\b|const\b|auto\b|static|typedef|friend|case|throw|else|break|continue|"
                       r"template|extern|struct|class|public|private|default|constexpr|inline|using|delete|goto)"
                       r"[\w:+\-*(][^;{}]*[)\w\]+\-];$")
VOID = re.compile(r"^\s*(?:\w+ )*void \w+\(.*\{$")


def code_of(line):
    """The line with its comment and the text of its strings blanked, so that columns stay."""
    blank = lambda m: m.group(0)[0] + " " * (len(m.group(0)) - 2) + m.group(0)[-1]
    line = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)\'', blank, line)
    return line.split("//")[0]


def mutants_of(path):
    """Each as (line number, column, kind, new line)."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        code = code_of(line)
        if not code.strip() or code.lstrip().startswith("#") or "static_assert" in code or "requires" in code:
            continue
        for pattern, other in SWAPS:
            for m in re.finditer(pattern, code):
                kind = f"{m.group(0).strip()} -> {other.strip()}"
                found.append((number, m.start(), kind, line[:m.start()] + other + line[m.end():]))
        if "template" not in code:
            for m in NUMBER.finditer(code):
                for value in {int(m.group(1)) + 1, max(int(m.group(1)) - 1, 0)} - {int(m.group(1))}:
                    found.append((number, m.start(), f"{m.group(1)} -> {value}",
                                  line[:m.start()] + str(value) + line[m.end():]))
        if STATEMENT.match(code.rstrip()) and code.count("(") == code.count(")"):
            declares = re.match(r"^\s+[\w:<>, ]+[&*]? \w+(?:;|\(|\{| =)", code) and " = " not in code.split("(")[0]
            if not declares:
                found.append((number, 0, "statement left out", "    ;"))
        if VOID.match(code):
            found.append((number, len(line), "return at once", line + " return;"))
    return found


def tests_of(header, more):
    """Sources of the tests that mirror a header, and the further ones."""
    inner = header.relative_to(ROOT / "include" / "iapt").with_suffix("")
    folder = ROOT / "tests" / inner.parent
    return sorted({*folder.glob(inner.name + ".cpp"), *folder.glob(inner.name + "_*.cpp"), *more})


class Bench:
    """Compiles and runs tests, in a folder of its own."""

    def __init__(self, folder, compiler):
        self.folder, self.compiler = pathlib.Path(folder), compiler
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "IAPT_TEST_MODEL": "", "CI": "",
                            "IAPT_DATASETS": "/nonexistent"}
        precompiled = self.folder / "pch" / "support" / "precompiled.hpp"
        precompiled.parent.mkdir(parents=True)
        precompiled.write_text(f'#include "{ROOT}/tests/support/precompiled.hpp"\n#include <nlohmann/json.hpp>\n')
        self.compile(["-x", "c++-header", str(precompiled), "-o", str(precompiled) + ".gch"], [])
        self.compile(["-c", "tests/support/main.cpp", "-o", str(self.folder / "main.o")], [])
        self.baselines = {}

    def compile(self, arguments, first):
        command = [self.compiler, *first, *FLAGS, "-Iinclude", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=not first)

    def program(self, sources, overlay, name):
        """Compiles the sources with the headers in `overlay` first. False if they do not compile."""
        first = [f"-I{overlay}", "-include", str(self.folder / "pch" / "support" / "precompiled.hpp")]
        unit = self.folder / "unit.cpp"
        unit.write_text("".join(f'#include "{source}"\n' for source in sources))
        out = self.compile([str(unit), str(self.folder / "main.o"), "-o", str(self.folder / name), *LIBRARIES], first)
        return out.returncode == 0, out.stderr

    def run(self, name, limit):
        """"passes", "fails" or "hangs", and the seconds."""
        start = time.monotonic()
        try:
            done = subprocess.run([str(self.folder / name)], cwd=self.folder, env=self.environment, timeout=limit,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "hangs", limit
        return "passes" if done.returncode == 0 else "fails", time.monotonic() - start

    def limit_of(self, sources):
        """Seconds that the tests may take: five times what they take with the header as it is."""
        key = tuple(sources)
        if key not in self.baselines:
            nothing = self.folder / "nothing"
            nothing.mkdir(exist_ok=True)
            compiles, errors = self.program(sources, nothing, "baseline")
            if not compiles:
                sys.exit(f"{sources[0]}: does not compile:\n{errors[:2000]}")
            result, seconds = self.run("baseline", 600)
            if result != "passes":
                sys.exit(f"{sources[0]}: {result} without a change")
            self.baselines[key] = 10 + 5 * seconds
        return self.baselines[key]

    def judge(self, header, mutant, sources):
        number, _, _, text = mutant
        limit = self.limit_of(sources)
        overlay = self.folder / "overlay"
        copy = overlay / header.relative_to(ROOT / "include")
        copy.parent.mkdir(parents=True, exist_ok=True)
        lines = header.read_text().splitlines()
        lines[number - 1] = text
        copy.write_text("\n".join(lines) + "\n")
        try:
            compiles, _ = self.program(sources, overlay, "mutant")
            if not compiles:
                return "no program"
            result, _ = self.run("mutant", limit)
            return {"passes": "survived", "fails": "killed", "hangs": "killed by time"}[result]
        finally:
            copy.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=pathlib.Path, help="headers, or folders of them")
    parser.add_argument("--tests", nargs="+", type=pathlib.Path, default=[], help="tests that judge, too, mirrors or not")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("mutants.jsonl"), help="a line for each mutant")
    parser.add_argument("--sample", type=int, help="so many of them, drawn by the seed; without: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no mutant after this time")
    parser.add_argument("--compiler", default="g++")
    chosen = parser.parse_args()

    more = [path.resolve() for path in chosen.tests]
    headers = []
    for path in chosen.paths:
        headers += sorted(path.resolve().rglob("*.hpp")) if path.is_dir() else [path.resolve()]
    every = []
    for header in headers:
        if not tests_of(header, more):
            print(f"{header.relative_to(ROOT)}: no test mirrors it", file=sys.stderr)
            continue
        every += [(header, mutant) for mutant in mutants_of(header)]
    random.Random(chosen.seed).shuffle(every)
    every = every[:chosen.sample]
    done = set()
    if chosen.out.exists():
        done = {(e["file"], e["line"], e["column"], e["change"]) for e in map(json.loads, chosen.out.open())}
    begin, counts = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="iapt-mutate-") as folder, chosen.out.open("a") as out:
        bench = Bench(folder, chosen.compiler)
        for header, mutant in every:
            file = str(header.relative_to(ROOT))
            number, column, kind, text = mutant
            if (file, number, column, kind) in done:
                continue
            if time.monotonic() - begin > 60 * chosen.minutes:
                break
            start = time.monotonic()
            result = bench.judge(header, mutant, tests_of(header, more))
            counts[result] = counts.get(result, 0) + 1
            line = header.read_text().splitlines()[number - 1].strip()
            out.write(json.dumps({"file": file, "line": number, "column": column, "change": kind, "before": line,
                                  "after": text.strip(), "result": result,
                                  "seconds": round(time.monotonic() - start, 1)}) + "\n")
            out.flush()
    print(f"{len(every)} mutants chosen; now " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
