#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Imports go only downwards: each folder of include/iapt includes itself and the folders before it in LAYERS."""
import pathlib
import re
import sys

LAYERS = ["core", "expr", "backend", "autograd", "ops", "nn", "model", "peft",
          "optim", "text", "jinja", "chat", "io", "data", "train", "serve"]
CORE_END = LAYERS.index("optim")  # iapt::core: these folders and optim may not need files or text
DEVICE = re.compile(r"^(thrust|cub|cuda|cublas|cudnn|cooperative_groups)\b|^cuda_|^cublas")
FILES_AND_TEXT = re.compile(r"^(nlohmann|pcre2|utf8proc|fmt|CLI)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def folder_of(path):
    """'ops' of 'iapt/ops/silu.hpp'; '' of the headers that stand above all folders, such as iapt/iapt.hpp."""
    parts = pathlib.PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 else ""


def is_device(path):
    return path.startswith(("iapt/backend/thrust/", "iapt/backend/cuda/"))


def problems_of(path, includes, headers):
    """What is wrong with the includes of one header, both as paths below include/."""
    folder = folder_of(path)
    if folder and folder not in LAYERS:
        yield f"folder {folder}/ has no place in the list of layers"
        return
    for name in includes:
        if not name.startswith("iapt/"):
            local = str(pathlib.PurePosixPath(path).parent / name)
            if local in headers:
                yield f'includes "{name}": write the path from include/, "{local}"'
            if DEVICE.search(name) and not is_device(path):
                yield f"includes <{name}>: only backend/thrust and backend/cuda know a GPU"
            if FILES_AND_TEXT.search(name) and folder and LAYERS.index(folder) <= CORE_END:
                yield f"includes <{name}>: iapt::core needs Eigen only"
            continue
        if name not in headers:
            yield f"includes {name}, which is not there"
        target = folder_of(name)
        if folder and not target:
            yield f"includes {name}, which stands above all folders"
        elif folder and target in LAYERS and LAYERS.index(target) > LAYERS.index(folder):
            yield f"includes {name}: {folder} stands below {target}"
        elif {folder, target} == {"train", "serve"}:
            yield f"includes {name}: train and serve stand side by side"
        if is_device(name) and not is_device(path):
            yield f"includes {name}: including the library without CUDA must not see it"


def circle(graph):
    """A chain of headers that includes itself, or nothing."""
    state, trail = {}, []

    def visit(node):
        state[node] = "open"
        trail.append(node)
        for other in graph.get(node, []):
            if state.get(other) == "open":
                return trail[trail.index(other):] + [other]
            if other not in state:
                found = visit(other)
                if found:
                    return found
        state[node] = "done"
        trail.pop()
        return None

    for node in graph:
        if node not in state:
            found = visit(node)
            if found:
                return found
    return None


def check(root):
    include = pathlib.Path(root) / "include"
    graph = {}
    for file in sorted([*include.rglob("*.hpp"), *include.rglob("*.cuh")]):
        graph[file.relative_to(include).as_posix()] = INCLUDE.findall(file.read_text(encoding="utf-8"))
    found = [f"{path}: {text}" for path, includes in graph.items() for text in problems_of(path, includes, graph)]
    loop = circle(graph)
    if loop:
        found.append("headers include each other: " + " -> ".join(loop))
    return found, len(graph)


def main():
    found, count = check(sys.argv[1])
    for line in found:
        print(line)
    print(f"{count} headers, {len(found)} problems")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
