"""A web server on loopback that misbehaves as it is told, and writes down what it was asked."""

import contextlib
import http.server
import random
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

BODY = random.Random(5).randbytes(300_000)  # some chunks of the downloader, and no archive


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits for another thread or process; fails loudly instead of waiting for ever."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


@dataclass
class File:
    """An answer with a file. `body` is what a server that works would send."""

    body: bytes = BODY
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True  # whether it knows Range
    if_range: bool = True  # whether it knows If-Range
    headers: dict[str, str] = field(default_factory=dict)
    stop: int | None = None  # breaks the connection after so many bytes of the file ...
    when: Callable[[], bool] = lambda: True  # ... but not before this holds
    reset: bool = True  # by a reset, else as if the body ended there
    length: bool = True  # whether it says how long the body is

    def __call__(self, handler: "Handler") -> None:
        start = self._start(handler)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        given = {"Content-Length": str(len(self.body) - start)} if self.length else {}
        given |= {"ETag": self.etag} if self.etag else {}
        given |= {"Last-Modified": self.modified} if self.modified else {}
        for name, value in (given | self.headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(self.body[start : self.stop])
        if self.stop is not None:
            until(self.when)
            self._break(handler)

    def _start(self, handler: "Handler") -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        known = handler.headers.get("If-Range") in (self.etag, self.modified) or not self.if_range
        return int(asked[1]) if asked and known and self.ranges else 0

    def _break(self, handler: "Handler") -> None:
        if self.reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.connection.close()


@dataclass
class Status:
    """An answer without a file."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, handler: "Handler") -> None:
        handler.send_response(self.code)
        for name, value in ({"Content-Length": "0"} | self.headers).items():
            handler.send_header(name, value)
        handler.end_headers()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Misbehaving"

    def do_GET(self) -> None:
        answers = self.server.answers.get(self.path.partition("?")[0], [])
        self.server.log.append((self.path, dict(self.headers)))
        answer = answers.pop(0) if len(answers) > 1 else answers[0] if answers else Status(404)
        with contextlib.suppress(ConnectionError):
            answer(self)

    def end_headers(self) -> None:
        self.send_header("Connection", "close")  # every request is a connection of its own
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        return


class Misbehaving(http.server.ThreadingHTTPServer):
    """`answers[path]` are given in order, the last one for ever; `log` has (path, headers) of every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Callable[[Handler], None]]] = {}
        self.log: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def plan(self, path: str, *answers: Callable[[Handler], None]) -> None:
        self.answers[path] = list(answers)

    def asked(self, header: str) -> list[str | None]:
        """That header of every request."""
        return [headers.get(header) for _, headers in self.log]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.log]
