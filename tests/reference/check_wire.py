#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a running `serve` on raw sockets, by requests that h11 builds and answers that h11 reads, which takes nothing that
HTTP/1.1 does not allow: check_wire.py URL [KEY]. Needs the package h11."""
import json
import socket
import sys
import urllib.parse

import h11

KEY = "none"


class Wire:
    """A connection, and h11's idea of it."""

    def __init__(self, url):
        self.host = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((self.host.hostname, self.host.port), timeout=60)
        self.state = h11.Connection(h11.CLIENT)

    def send(self, *events):
        for event in events:
            self.socket.sendall(self.state.send(event))

    def event(self):
        while (event := self.state.next_event()) is h11.NEED_DATA:
            self.state.receive_data(self.socket.recv(1 << 16))
        return event

    def request(self, method, target, more=(), body=None, chunks=None, trailers=(), waits=False):
        """Status, fields and body of an answer."""
        fields = [("Host", self.host.netloc), ("Authorization", f"Bearer {KEY}"), *more]
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        if chunks is not None:
            fields.append(("Transfer-Encoding", "chunked"))
        if waits:
            fields.append(("Expect", "100-continue"))
        self.send(h11.Request(method=method, target=target, headers=fields))
        if waits:
            event = self.event()
            assert isinstance(event, h11.InformationalResponse) and event.status_code == 100, event
        for part in chunks if chunks is not None else [body] if body else []:
            self.send(h11.Data(data=part))
        self.send(h11.EndOfMessage(headers=list(trailers)))
        return self.answer()

    def answer(self):
        head = self.event()
        assert isinstance(head, h11.Response), head
        text = b""
        while not isinstance(event := self.event(), h11.EndOfMessage):
            text += event.data
        fields = {name.decode(): value.decode() for name, value in head.headers}
        if self.state.our_state is h11.DONE and self.state.their_state is h11.DONE:
            self.state.start_next_cycle()
        return head.status_code, fields, text

    def ended(self):
        return self.socket.recv(1) == b""


def check_connection(url, model):
    """Bodies of all shapes on one connection, which lives until one of the two says otherwise."""
    wire = Wire(url)
    ask = json.dumps({"model": model, "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}).encode()
    path = "/v1/completions"
    texts = set()
    for how in (dict(body=ask), dict(chunks=[ask[:7], ask[7:8], ask[8:]]), dict(body=ask, waits=True),
                dict(chunks=[ask], trailers=[("X-Checksum", "none")]), dict(chunks=[ask], waits=True)):
        status, fields, text = wire.request("POST", path, **how)
        assert status == 200 and "connection" not in fields, (status, fields)
        texts.add(json.loads(text)["choices"][0]["text"])
    assert len(texts) == 1, texts
    status, fields, text = wire.request("HEAD", "/healthz")
    assert status == 200 and text == b"" and fields["content-length"] == "3"
    status, fields, text = wire.request("OPTIONS", path)
    assert status == 204 and fields["allow"] == "POST, OPTIONS" and "content-length" not in fields
    status, fields, text = wire.request("OPTIONS", "*")
    assert status == 204
    status, fields, text = wire.request("GET", f"{url}/v1/models")  # as to a proxy
    assert status == 200 and json.loads(text)["data"][0]["id"] == model
    status, fields, text = wire.request("GET", "/healthz", more=[("Range", "bytes=0-0,1-1,0-0")])
    assert status == 200 and text == b"ok\n", text
    status, fields, text = wire.request("POST", path, body=ask[:-1] + b', "stream": true}')
    assert status == 200 and fields["transfer-encoding"] == "chunked" and text.endswith(b"data: [DONE]\n\n")
    status, fields, text = wire.request("GET", "/nowhere")
    assert status == 404 and "connection" not in fields
    status, fields, text = wire.request("GET", "/healthz", more=[("Connection", "close")])
    assert status == 200 and fields["connection"] == "close" and wire.ended()


def check_refusals(url):
    """What h11 would not build is sent as it is; each answer is one of HTTP, says 400, and ends the connection."""
    heads = ["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5", "Content-Length: +5",
             "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: identity, chunked",
             "Transfer-Encoding: gzip", "A: b\r\n c", "A : b", "Host: y", "A: b\nC: d", "A: \0"]
    for head in heads:
        wire = Wire(url)
        wire.state.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
        wire.socket.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\nhello".encode())
        status, fields, text = wire.answer()
        assert status == 400 and fields["connection"] == "close" and json.loads(text)["error"]["message"], (head, status)
        assert wire.ended(), head


def check_old(url):
    """HTTP/1.0 gets no chunks."""
    host = urllib.parse.urlsplit(url)
    for fields in ("", "Connection: keep-alive\r\n"):
        wire = socket.create_connection((host.hostname, host.port), timeout=60)
        wire.sendall(f"GET /healthz HTTP/1.0\r\n{fields}\r\n".encode())
        text = wire.recv(1 << 16)
        assert text.startswith(b"HTTP/1.1 200") and text.endswith(b"\r\n\r\nok\n") and b"chunked" not in text, text
        if not fields:
            assert wire.recv(1) == b""


def main():
    global KEY
    url = sys.argv[1].rstrip("/")
    KEY = sys.argv[2] if len(sys.argv) > 2 else KEY
    status, _, text = Wire(url).request("GET", "/v1/models")
    assert status == 200, text
    check_connection(url, json.loads(text)["data"][0]["id"])
    check_refusals(url)
    check_old(url)
    print(f"h11 {h11.__version__}: all as it should be")


if __name__ == "__main__":
    main()
