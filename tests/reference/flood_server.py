#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts `serve` and floods it: more good requests than it may take, and clients that stall, vanish or send garbage.

    python3 tests/reference/flood_server.py --serve build/release/examples/serve --model MODEL --adapters DIR
        [--seconds 60] [--floods 3] [--clients 32] [-- flags of serve]

After each flood the server must be as before: nothing at work, all of its cache free, every answer right. Each good
answer is compared with the one that its request got alone, so another tenant's text would be seen. The first flood warms
up; later ones may let the server's memory, at rest, grow by a hundredth. Needs nothing but Python, and Linux for the
memory.
"""
import argparse
import collections
import http.client
import json
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

KEY = "the key of all"
PROMPTS = ("The capital of France is", "1, 2, 3, 4,", "SELECT name FROM", "Once upon a time", "Water boils at",
           "def add(a, b):\n", "Ça ne fait rien, dit-elle:", "Dear colleagues, " * 30)
# A cache so small that the first flood uses all of it: pages come into memory with their first use.
LIMITS = {"--max-running": "8", "--max-queue": "8", "--kv-budget": "24", "--max-tokens": "512"}
RESTED = 8  # seconds after which a server that rests has given its memory back
SAID = ("Say hello.", "Which is larger, 7 or 9?", "Name a colour. " * 20)


class Server:
    """The program, with keys of its own: one for all models, one for each."""

    def __init__(self, options):
        self.adapters = sorted(p.name for p in pathlib.Path(options.adapters).iterdir() if p.is_dir())
        self.keys = tempfile.NamedTemporaryFile("w", suffix=".json")
        json.dump({KEY: "*", **{f"key of {name}": [name] for name in self.adapters}}, self.keys)
        self.keys.flush()
        command = [options.serve, "--model", options.model, "--adapters", options.adapters, "--port", "0",
                   "--api-keys", self.keys.name, *options.flags]
        for flag, value in LIMITS.items():
            command += [] if flag in options.flags else [flag, value]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)$", line.strip()).group(1))
        self.base = re.search(r"serving (\S+) on", line).group(1)

    def connect(self, timeout=120):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, path, body=None, key=KEY):
        """Status and text of an answer, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            head = {"Authorization": f"Bearer {key}", "Connection": "close"}
            connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, head)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        return {name: float(value) for name, value in re.findall(r"^iapt_(\S+) (\S+)$", self.ask("/metrics")[1], re.M)}

    def memory(self):
        """KiB that it has in memory, and of them those that no file backs."""
        text = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1)) for name in ("Rss", "Pss", "Anonymous")}


class Ask:
    """A good request: who asks, for what, and what it got alone."""

    def __init__(self, server, model, prompt, tokens, chat):
        self.path = "/v1/chat/completions" if chat else "/v1/completions"
        what = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        self.body = {"model": model, "temperature": 0, "max_tokens": tokens, **what}
        self.key = KEY if model == server.base else f"key of {model}"
        self.alone = None

    def run(self, server, stream=False):
        """Status and the answer's text; a stream that was not finished is no answer."""
        status, text = server.ask(self.path, {**self.body, "stream": True} if stream else self.body, self.key)
        if status != 200:
            return status, text
        if not stream:
            choice = json.loads(text)["choices"][0]
            return status, choice["message"]["content"] if "message" in choice else choice["text"]
        assert text.endswith("data: [DONE]\n\n"), text[-200:]
        parts = [json.loads(line[6:])["choices"][0] for line in text.split("\n\n") if line.startswith("data: {")]
        return status, "".join(p["delta"].get("content") or "" if "delta" in p else p["text"] for p in parts)


def raw(path, body, key=KEY, length=None, more=""):
    """A request's bytes."""
    head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n")
    return head.encode() + body


class Flood:
    def __init__(self, server, asks, seconds, clients):
        self.server, self.asks, self.end = server, asks, time.monotonic() + seconds
        self.counts, self.wrong, self.lock = collections.Counter(), [], threading.Lock()
        roles = [self.good] * clients + [self.vanishing] * (clients // 4) + [self.stalled] * (clients // 4)
        roles += [self.garbage] * (clients // 8 + 1) + [self.crowd]
        threads = [threading.Thread(target=self.work, args=(role, i)) for i, role in enumerate(roles)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def work(self, role, number):
        chance = random.Random(number)
        while time.monotonic() < self.end:
            try:
                role(chance)
            except OSError as failure:  # it may break connections off, but not those of good clients
                self.count(f"{role.__name__}: {type(failure).__name__}")
            except Exception as failure:
                self.fail(f"{role.__name__}: {failure!r}")

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def fail(self, what):
        with self.lock:
            self.wrong.append(what)

    def good(self, chance):
        ask, stream = chance.choice(self.asks), chance.random() < 0.5
        try:
            status, text = ask.run(self.server, stream)
        except (OSError, http.client.HTTPException) as failure:
            return self.fail(f"a good client: {failure!r}")
        self.count(f"good: {status}")
        if status == 200 and text != ask.alone:
            others = [other.body["model"] for other in self.asks if other.alone == text]
            self.fail(f"{ask.body}: {text!r} instead of {ask.alone!r}, which is the answer to {others}")
        if status not in (200, 429):
            self.fail(f"{ask.body}: {status} {text}")
        if status == 429:
            time.sleep(chance.random())

    def long(self, chance):
        body = {**chance.choice(self.asks).body, "temperature": 1000, "max_tokens": 400, "stream": chance.random() < 0.5}
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        return raw(path, json.dumps(body).encode())

    def vanishing(self, chance):
        """Asks for much, and goes: at once, while it waits, or while it is answered; politely or not."""
        with self.server.connect() as connection:
            connection.sendall(self.long(chance))
            if chance.random() < 0.5:
                time.sleep(chance.random())
            else:
                connection.recv(chance.choice((1, 300, 3000)))
            if chance.random() < 0.3:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.count("vanished")

    def stalled(self, chance):
        """Sends half of a request and no more, or drop by drop, or does not read what it gets."""
        request = self.long(chance)
        with self.server.connect() as connection:
            kind = chance.randrange(4)
            if kind == 0:
                connection.sendall(request[:chance.randrange(len(request))])
                time.sleep(1 + 5 * chance.random())
            elif kind == 1:
                for byte in request[:20]:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.2 * chance.random())
            elif kind == 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                connection.sendall(request)
                time.sleep(6 * chance.random())
            else:
                time.sleep(6 * chance.random())
        self.count("stalled")

    def garbage(self, chance):
        good = {"model": self.server.base, "prompt": "x", "max_tokens": 1}
        path, dump = "/v1/completions", lambda **more: json.dumps({**good, **more}).encode()
        kinds = [
            lambda: (raw(path, b"{"), 400), lambda: (raw(path, b"[" * 100000), 400), lambda: (raw(path, b""), 400),
            lambda: (raw(path, b'{"model": "\xff\xfe", "prompt": "\xc3\x28"}'), 400),
            lambda: (raw(path, chance.randbytes(2000)), 400),
            lambda: (raw(path, dump(max_tokens="many")), 400), lambda: (raw(path, dump(prompt={"a": 1})), 400),
            lambda: (raw(path, dump(stop=[""])), 400), lambda: (raw(path, dump(max_tokens=-1)), 400),
            lambda: (raw(path, dump(temperature=1e400)), 400), lambda: (raw(path, dump(model="../x")), 404),
            lambda: (raw(path, dump(model=f"x{chance.random()}")), 404), lambda: (raw(path, dump(), "no"), 401),
            lambda: (raw(path, dump(prompt="word " * 20000)), 400), lambda: (raw(path, b" " * (2 << 20)), 413),
            lambda: (raw(path, dump(), f"key of {self.server.adapters[0]}"), 404),
            lambda: (raw(path, dump(), length=-5), 0), lambda: (raw(path, dump(), length="9" * 30), 0),
            lambda: (raw(f"/{chance.random()}", dump()), 404), lambda: (b"\x16\x03\x01" + chance.randbytes(300), 0),
            lambda: (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000 + b"\r\n", 0), lambda: (b"G" * 100000, 0),
            lambda: (b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", 0),
            lambda: (raw(path, chance.randbytes(500), more="Content-Encoding: gzip\r\n"), 415),
            lambda: (raw(path, dump(), more="Content-Length: 5\r\n"), 400),
            lambda: (raw(path, dump(), more="Transfer-Encoding: chunked\r\n"), 400),
            lambda: (raw(path, dump(), more="A: b\r\n c\r\n"), 400),
            lambda: (raw("/" + "a" * 9000, dump()), 414),
            lambda: (raw(path, dump(), more="A: " + "b" * 17000 + "\r\n"), 431)]
        request, status = chance.choice(kinds)()
        with self.server.connect() as connection:
            try:
                connection.sendall(request)
                answer = connection.recv(100)
            except ConnectionError:  # it need not read all
                answer = b""
        self.count("garbage")
        if answer and (b" 200 " in answer[:13] or status and f" {status} ".encode() not in answer[:13]):
            self.fail(f"{request[:200]} is answered {answer}, not {status}")

    def crowd(self, chance):
        """More connections than it takes at a time."""
        held = [self.server.connect() for _ in range(600)]
        time.sleep(1)
        for connection in held:
            connection.close()
        self.count("crowds of 600 connections")
        time.sleep(10 * chance.random())


def check_idle(server, asks):
    """It answers, right, and holds nothing."""
    begin = time.monotonic()
    while True:
        now = server.metrics()
        if now["requests_running"] == now["requests_waiting"] == 0 and now["cache_blocks_free"] == now["cache_blocks"]:
            break
        assert time.monotonic() < begin + 60, f"something is still at work: {now}"
        time.sleep(0.2)
    assert server.ask("/healthz")[0] == 200
    for ask in asks:
        status, text = ask.run(server)
        assert (status, text) == (200, ask.alone), (ask.body, status, text, ask.alone)
    return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("serve", "model", "adapters"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds", type=float, default=60, help="of a flood")
    parser.add_argument("--floods", type=int, default=3, help="of which the first warms up")
    parser.add_argument("--clients", type=int, default=32, help="good ones; the others come on top")
    parser.add_argument("flags", nargs="*", help="more of serve's own, after --")
    options = parser.parse_args()
    server = Server(options)
    try:
        chance = random.Random(0)
        asks = [Ask(server, model, prompt, chance.randrange(2, 25), chat) for model in (server.base, *server.adapters)
                for chat, prompts in ((False, PROMPTS), (True, SAID)) for prompt in prompts]
        for ask in asks:
            status, ask.alone = ask.run(server)
            assert status == 200, (ask.body, ask.alone)
        print(f"{len(asks)} requests of {1 + len(server.adapters)} models alone; {server.memory()} KiB", flush=True)
        wrong, memory = [], []
        for number in range(options.floods):
            flood = Flood(server, asks, options.seconds, options.clients)
            check_idle(server, asks)
            time.sleep(RESTED)
            memory.append(server.memory())
            wrong += flood.wrong
            print(f"flood {number + 1}: {dict(sorted(flood.counts.items()))}; {len(flood.wrong)} wrong; "
                  f"{memory[-1]} KiB", flush=True)
            for one in flood.wrong[:10]:
                print("  " + one[:600])
        server.process.terminate()
        assert server.process.wait(60) == 0, "its end"
        assert not wrong, f"{len(wrong)} answers are wrong"
        for name in ("Rss", "Anonymous"):  # Pss depends on who else has the libraries
            first, last = memory[0][name], memory[-1][name]
            assert last <= 1.01 * first, f"{name} grew from {first} to {last} KiB"
        print("all as it should be")
    finally:
        server.process.kill()


if __name__ == "__main__":
    sys.exit(main())
