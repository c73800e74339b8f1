#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replaces a tenant's adapter under a running `serve` by one of two others, again and again, and kills the writer at
random instants, while clients ask.

    python3 tests/kill/kill_writer.py --programs build/release/examples --writer build/test/tests/replace_folder
        [--kills 1000] [--seed 1] [--folder DIR] [--two-renames]

Each answer must be that of the one adapter or that of the other, and the tenant must be listed whenever it is asked for:
no answer is of a part of an adapter, none is a refusal. The two have tensors of different shapes, so a configuration of
one with the tensors of the other would be refused. --two-renames takes the system's call away that exchanges two names.
Needs nothing but Python, and Linux.
"""
import argparse
import collections
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import killing
import tiny_model

PROMPT = "To be"


def train_adapter(options, folder, model, name, answer, rank):
    data = folder / f"{name}.jsonl"
    data.write_text(json.dumps({"prompt": PROMPT, "completion": answer}) + "\n")
    subprocess.run([f"{options.programs}/train", "--model", str(model), "--train", str(data), "--out",
                    str(folder / name), "--epochs", "60", "--batch", "1", "--learning-rate", "0.03", "--threads", "1",
                    "--method", "lora", "--rank", str(rank)], check=True, stderr=subprocess.DEVNULL)
    return folder / name / "last"


class Server:
    def __init__(self, options, model, adapters):
        self.process = subprocess.Popen([f"{options.programs}/serve", "--model", str(model), "--adapters",
                                         str(adapters), "--port", "0", "--threads", "1"],
                                        stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()

    def ask(self, path, body=None):
        request = urllib.request.Request(self.url + path, body and json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            return f"{refusal.code} {refusal.read().decode()}"

    def text(self, tenant):
        answer = self.ask("/v1/completions", {"model": tenant, "prompt": PROMPT, "max_tokens": 6, "temperature": 0})
        return answer if isinstance(answer, str) else answer["choices"][0]["text"]

    def models(self):
        return tuple(model["id"] for model in self.ask("/v1/models")["data"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True, help="folder of train and serve")
    parser.add_argument("--writer", required=True)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="where the adapters are, on the file system to be tried")
    parser.add_argument("--two-renames", action="store_true")
    options = parser.parse_args()
    chance, begin = random.Random(options.seed), time.perf_counter()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = pathlib.Path(folder)
        model, adapters = tiny_model.make(folder / "model"), folder / "adapters"
        adapters.mkdir()
        sources = [train_adapter(options, folder, model, *kind) for kind in (("one", "aaaaa", 2), ("two", "bbbbb", 3))]
        for i, source in enumerate(sources):
            (adapters / f"fixed{i}").symlink_to(source, target_is_directory=True)
        writer = [options.writer, str(adapters / "tenant"), *map(str, sources)]
        server = Server(options, model, adapters)
        try:
            right = {server.text(f"fixed{i}") for i in range(2)}
            assert len(right) == 2, right
            first = killing.start(writer, options.two_renames)
            while not (adapters / "tenant").is_dir():
                assert first.poll() is None
            first.kill(), first.communicate()
            listed = server.models()
            assert "tenant" in listed, listed
            texts, lists, done = collections.Counter(), collections.Counter(), threading.Event()

            def ask():
                while not done.is_set():
                    texts[server.text("tenant")] += 1
                    lists[server.models()] += 1
            clients = [threading.Thread(target=ask) for _ in range(2)]
            for client in clients:
                client.start()
            for _ in range(options.kills):
                process = killing.start(writer, options.two_renames)
                assert killing.kill_at_random(process, adapters, chance, 0.03, 40), "the writer ended"
            last, patience = killing.start(writer, options.two_renames), time.monotonic() + 60
            while len(list(adapters.glob(".*"))) > 2 and time.monotonic() < patience:
                time.sleep(0.01)
            last.kill(), last.communicate()
            done.set()
            for client in clients:
                client.join()
        finally:
            server.process.kill()
        left = sorted(path.name for path in adapters.iterdir())
    wrong = {text: count for text, count in texts.items() if text not in right}
    missing = {names: count for names, count in lists.items() if names != listed}
    print(f"{options.kills} kills; answers {dict(texts)}, lists {dict(lists)}; left {left}; "
          f"{time.perf_counter() - begin:.0f} s, seed {options.seed}")
    assert texts and not wrong and not missing, (wrong, missing)
    assert len(left) <= 5, left  # beside the folders what the last writer was at, and nothing of those before


if __name__ == "__main__":
    sys.exit(main())
