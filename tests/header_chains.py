#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Divides headers among few translation units: header_chains.py FOLDER HEADER... prints a unit's headers in a line.

In a unit a header stands behind such alone as it includes itself, by whatever way. So these lend it nothing, and that
all units compile means that each header compiles alone; includes must stand above what needs them.
"""
import pathlib
import sys

from check_layers import INCLUDE


def closures(folder, headers):
    """All that each header includes of the others, by whatever way."""
    direct = {h: set(INCLUDE.findall((folder / h).read_text(encoding="utf-8"))) for h in headers}
    known = {}

    def closure(header):
        if header not in known:
            below = direct[header] & direct.keys()
            known[header] = below.union(*map(closure, below))
        return known[header]

    return {h: closure(h) for h in headers}


def chains(below):
    """Each takes the header that includes most of those left, again and again."""
    left = dict(below)
    while left:
        chain, choice = [], set(left)
        while choice:
            chain.append(max(choice, key=lambda h: (len(below[h]), h)))
            del left[chain[-1]]
            choice = below[chain[-1]] & left.keys()
        yield chain[::-1]


for unit in chains(closures(pathlib.Path(sys.argv[1]), sys.argv[2:])):
    print(*unit, sep=",")
