#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source names its licence, what begins as a program can be run, a test's namespace is its path, no file names
somebody's machine, the documentation quotes what is there, and long ones are pointed out."""
import os
import pathlib
import re
import subprocess
import sys

SOURCES = {".hpp", ".cuh", ".cpp", ".cu", ".py", ".sh", ".cmake"}
TEXT = SOURCES | {".txt", ".json", ".md", ".in", ""}
TEST = re.compile(r"tests/(?!support/|fuzz/|consumer/|compile_fail/|kill/)(.+)\.cpp$")
DATA = ("tests/data/", "tests/fuzz/corpus/")  # other people's words may say anything
MACHINE = re.compile(r"(?<![\w.}/-])/(?:work|tmp|opt|home|root|Users)/\w")
LINES, BYTES = 300, 1 << 20


def files(root):
    """What git holds, or outside of a clone everything but what a build leaves."""
    try:
        names = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=True).stdout
        return [name for name in names.decode().split("\0") if name and (pathlib.Path(root) / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        left = {".git", "build", ".cache", ".deps", ".models", ".whl"}
        base = pathlib.Path(root)
        return [p.relative_to(base).as_posix() for p in base.rglob("*")
                if p.is_file() and not left & set(p.relative_to(base).parts)]


def check(root):
    problems, remarks = [], []
    for name in files(root):
        path = pathlib.Path(root) / name
        if path.stat().st_size > BYTES:
            problems.append(f"{name}: {path.stat().st_size} bytes: too large for git")
            continue
        if path.suffix not in TEXT or name.startswith(DATA):
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if path.suffix in SOURCES and not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:3]):
            problems.append(f"{name}:1: no SPDX line")
        if lines and lines[0].startswith("#!") and not os.access(path, os.X_OK):
            problems.append(f"{name}:1: a program that cannot be run: chmod +x")
        if path.suffix in {".hpp", ".cuh"} and "#pragma once" not in lines:
            problems.append(f"{name}:1: no #pragma once")
        if test := TEST.match(name):
            own = "namespace iapt::test::" + test[1].replace("/", "_")
            if own + " {" not in lines:
                problems.append(f"{name}:1: tests are compiled together, so it needs its own {own}")
        problems += [f"{name}:{number}: a path of one machine: {line.strip()}"
                     for number, line in enumerate(lines, 1) if MACHINE.search(line)]
        if path.suffix in SOURCES and len(lines) > LINES:
            remarks.append(f"{name}: {len(lines)} lines, over {LINES}: does it hold two things?")
    return problems, remarks


def check_readme(root):
    """The README's program is one that a test compiles."""
    readme = (pathlib.Path(root) / "README.md").read_text(encoding="utf-8")
    compiled = (pathlib.Path(root) / "tests/consumer/readme.cpp").read_text(encoding="utf-8")
    programs = [block for block in re.findall(r"```cpp\n(.*?)```", readme, re.S) if "int main" in block]
    return [] if len(programs) == 1 and compiled.endswith(programs[0]) else [
        "README.md: its program is not that of tests/consumer/readme.cpp, which is compiled"]


def check_reading(root):
    """What docs/reading.md quotes stands in a source."""
    def text(path):
        return (pathlib.Path(root) / path).read_text(encoding="utf-8", errors="replace")

    def lines(code):
        return "\n" + "".join(line.strip() + "\n" for line in code.splitlines() if line.strip())
    sources = [lines(text(name)) for name in files(root) if name.endswith((".hpp", ".cpp"))]
    return [f"docs/reading.md: no source has this (any more): {quote.splitlines()[0].strip()}"
            for quote in re.findall(r"```cpp\n(.*?)```", text("docs/reading.md"), re.S)
            if not any(lines(quote) in source for source in sources)]


def check_glossary(root):
    """Every header that docs/glossary.md names is there, and the table is short enough to be read."""
    text = (pathlib.Path(root) / "docs/glossary.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    headers = {row.split("|")[-2].strip() for row in rows} - {""}
    missing = [f"docs/glossary.md: there is no header iapt/{name}" for name in sorted(headers)
               if not (pathlib.Path(root) / "include/iapt" / name).is_file()]
    return missing + ([f"docs/glossary.md: {len(rows)} terms, more than 80"] if len(rows) > 80 else [])


def check_extending(root):
    """Every path that docs/extending.md names is there."""
    text = (pathlib.Path(root) / "docs/extending.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"\b(?:include|tests|docs)/[\w./-]*\w", text))
    return [f"docs/extending.md: there is no {path}" for path in sorted(paths)
            if not (pathlib.Path(root) / path).exists()]


def main():
    problems, remarks = check(sys.argv[1])
    problems += check_readme(sys.argv[1]) + check_reading(sys.argv[1]) + check_glossary(sys.argv[1]) + check_extending(sys.argv[1])
    for line in remarks + problems:
        print(line)
    print(f"{len(problems)} problems, {len(remarks)} remarks")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
