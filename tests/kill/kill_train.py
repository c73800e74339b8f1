#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills `train` at random instants, resumes it, and compares every byte that it leaves with an undisturbed run.

    python3 tests/kill/kill_train.py --train build/release/examples/train [--kills 1000] [--seed 1] [--folder DIR]
        [--two-renames]

A run evaluates and saves after every third step. It is killed and resumed until it ends by itself; then its folder must
hold the same files with the same bytes as that of the undisturbed run, nothing more and nothing less, and the next run
begins, until there were as many kills as were asked for. Half of the instants are spread over the time of a run, half
over what happens to its files. After each kill every folder that a reader finds must be whole. --two-renames takes the
system's call away that exchanges two names. Needs nothing but Python, and Linux.
"""
import argparse
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import killing
import tiny_model

TENSORS = ("state.safetensors", "adapter.safetensors", "adapter_model.safetensors")


def whole(folder):
    """Refuses a folder whose configuration or tensors are not complete."""
    configurations = list(folder.glob("*.json"))
    tensors = [folder / name for name in TENSORS if (folder / name).exists()]
    assert len(configurations) == 1 and len(tensors) == 1, f"{folder}: not whole: {list(folder.iterdir())}"
    json.loads(configurations[0].read_text())
    data = tensors[0].read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])
    end = max(part["data_offsets"][1] for name, part in header.items() if name != "__metadata__")
    assert len(data) == 8 + length + end, f"{tensors[0]}: cut short"


def found(folder):
    """Where a reader finds a folder: under its name, or beside it between two renames."""
    if folder.is_dir():
        return folder
    for old in folder.parent.glob(f".{folder.name}.*.iapt-old"):
        if old.with_suffix(".iapt").is_dir():
            return old
    return None


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Runs:
    def __init__(self, options, folder):
        self.options, self.folder, self.chance = options, folder, random.Random(options.seed)
        self.kills = self.ends = self.starts = self.late = 0
        model = tiny_model.make(folder / "model")
        for name, count in ("data", 40), ("dev", 6):
            lines = [{"prompt": f"{i % 7} then ", "completion": str(i * i % 100)} for i in range(count)]
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.command = [options.train, "--model", str(model), "--train", str(folder / "data.jsonl"), "--dev",
                        str(folder / "dev.jsonl"), "--epochs", "6", "--batch", "4", "--eval-every", "3", "--threads",
                        "1", "--method", "lora", "--rank", "2", "--learning-rate", "0.02"]

    def start(self, out):
        return killing.start([*self.command, "--out", str(out), "--resume"], self.options.two_renames)

    def measure(self):
        """The undisturbed run: its bytes, and how long it takes in seconds and file events."""
        (self.folder / "whole").mkdir()
        events, begin = killing.Events(self.folder / "whole"), time.perf_counter()
        process = self.start(self.folder / "whole")
        self.events = events.wait(1 << 30, process)
        events.close()
        text = process.communicate()[0].decode()
        assert process.returncode == 0, text
        self.seconds, self.expected = time.perf_counter() - begin, files(self.folder / "whole")
        assert len(self.expected) == 7, f"{sorted(self.expected)}"

    def once(self):
        """One run, killed until it ends or there were enough kills, then let alone."""
        out = self.folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        while self.kills < self.options.kills:
            process = self.start(out)
            self.starts += 1
            if not killing.kill_at_random(process, out, self.chance, self.seconds, self.events):
                assert process.returncode == 0, f"exit status {process.returncode} after {self.kills} kills"
                self.late += 1
                break
            self.kills += 1
            for name in "checkpoint", "best", "last":
                if (place := found(out / name)) is not None:
                    whole(place)
                else:  # a run that has begun has them all, a killed first instant perhaps none
                    assert name != "checkpoint" or not (out / "metrics.jsonl").exists(), f"{out / name} is gone"
        process = self.start(out)
        self.starts += 1
        text = process.communicate()[0].decode()
        assert process.returncode == 0, text
        left = files(out)
        assert left.keys() == self.expected.keys(), f"{sorted(left)} instead of {sorted(self.expected)}"
        different = [name for name in left if left[name] != self.expected[name]]
        assert not different, f"{different} differ after {self.kills} kills"
        self.ends += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="where the runs are, on the file system to be tried")
    parser.add_argument("--two-renames", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        runs, begin = Runs(options, pathlib.Path(folder)), time.perf_counter()
        runs.measure()
        while runs.kills < options.kills:
            runs.once()
    print(f"{runs.kills} kills, {runs.starts} starts, {runs.ends} runs that ended in the same {len(runs.expected)} files "
          f"byte for byte; {runs.seconds:.2f} s and {runs.events} file events an undisturbed run; "
          f"{time.perf_counter() - begin:.0f} s, seed {options.seed}")


if __name__ == "__main__":
    sys.exit(main())
