#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that must not compile. check_compile_fail.py FILE COMPILER FLAGS...

The file says `// expect: REGEX` in one of its first lines: what the compiler's message must match. With -DCORRECT the
same file must compile, which shows that the mistake under test, and nothing else, is refused."""
import re
import subprocess
import sys


def compile_it(source, command):
    done = subprocess.run([*command, "-fsyntax-only", source], capture_output=True, text=True, errors="replace")
    return done.returncode, done.stderr


def main():
    source, *command = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        expected = re.search(r"^// expect: (.+)$", file.read(), re.M)
    if not expected:
        return f"{source}: no line '// expect: REGEX'"
    status, text = compile_it(source, [*command, "-DCORRECT"])
    if status != 0:
        return f"{source}: with -DCORRECT it must compile:\n{text}"
    status, text = compile_it(source, command)
    if status == 0:
        return f"{source}: compiles, and must not"
    if not re.search(expected[1], text):
        return f"{source}: refused, but the message does not match '{expected[1]}':\n{text}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
