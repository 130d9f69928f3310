"""Exceptions of requests in plain words, without address or query string; disks that are full."""

import errno
import io
import os
import socket
import ssl
from collections import namedtuple
from pathlib import Path

import pytest
import requests
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ReadTimeoutError

from medbench.core.errors import UserError
from medbench.data.download import transfer
from medbench.data.download.network import Network
from medbench.data.download.transfer import CHUNK, MIB, Refused, Transient, failure
from medbench.data.fetch import obtain
from tests.helpers.web_server import BODY, File, Status

POOL = HTTPConnectionPool("example.org")
CONNECTION = HTTPConnection("example.org")
UNREACHABLE = NewConnectionError(CONNECTION, "[Errno 101] Network is unreachable")
NO_HOST = NameResolutionError("example.org", CONNECTION, socket.gaierror(-2, "Name or service not known"))
BAD_CERTIFICATE = ssl.SSLCertVerificationError(1, "self-signed certificate")
DATA = Path("resources/test/data.bin")
PART = Path(f"{DATA}.part")


@pytest.mark.parametrize(
    ("inner", "outer", "reason"),
    [
        (NO_HOST, requests.ConnectionError, "host not found"),
        (UNREACHABLE, requests.ConnectionError, "cannot connect"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), requests.ConnectionError, "connection reset"),
        (ReadTimeoutError(POOL, "/?secret", "read timed out"), requests.ConnectionError, "timed out"),
        (ssl.SSLError(1, "wrong version"), requests.exceptions.SSLError, "the encrypted connection broke"),
        (UNREACHABLE, requests.exceptions.ProxyError, "the proxy does not answer"),
        (Exception("something new"), requests.ConnectionError, "the connection broke"),
        (BAD_CERTIFICATE, requests.exceptions.SSLError, "its certificate is not accepted"),
    ],
)
def test_what_an_exception_means(inner, outer, reason):
    meaning = failure(outer(MaxRetryError(POOL, "/?secret", inner)))
    assert isinstance(meaning, Refused if inner is BAD_CERTIFICATE else Transient)
    assert str(meaning) == reason


def test_a_server_that_does_not_encrypt_is_a_plain_reason(server, remote, network, monkeypatch):
    encrypted = remote(urls=(server.url.replace("http:", "https:"),))
    with pytest.raises(UserError, match=r"\(the encrypted connection broke\)"):
        obtain(encrypted, network)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "no/where.pem")
    with pytest.raises(UserError, match=r"\(Could not find a suitable TLS CA certificate bundle.*no/where\.pem\)"):
        obtain(encrypted, Network(waits=()))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (File(headers={"Content-Encoding": "gzip"}), "the connection broke"),
        (File(length=False, headers={"Transfer-Encoding": "chunked"}), "the body was cut short"),
        (File(headers={f"X-{number}": "" for number in range(200)}), "the connection broke"),
        (Status(206, {"Content-Range": "bytes 0-1/2"}), "HTTP 206 Partial Content"),
        (Status(999, {"Retry-After": "9" * 5000}), "HTTP 999"),
        (lambda handler: handler.wfile.write(b"\0\xff\r\n\r\n"), "the connection broke"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 many OK\r\n\r\n"), "the connection broke"),
    ],
    ids=["not packed", "not chunked", "many headers", "a piece", "no status", "no answer", "no number"],
)
def test_an_answer_against_all_rules_is_a_plain_reason(server, remote, network, answer, reason):
    server.plan("/file", answer)
    with pytest.raises(UserError, match=rf"/file \({reason}\); get it from "):
        obtain(remote(), network)
    assert not DATA.exists()


# The disk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def free(monkeypatch):
    """A function that sets the bytes that the disk says are free."""
    usage = namedtuple("usage", "free")
    return lambda size: monkeypatch.setattr("shutil.disk_usage", lambda path: usage(size))


class FullDisk(io.FileIO):
    """A file that takes one chunk and no more."""

    def write(self, chunk):
        if self.tell() >= CHUNK:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(chunk)


def test_too_little_space_is_found_before_the_body(server, remote, network, free):
    server.plan("/file", File(headers={"Content-Length": str(5 * MIB)}))
    free(2 * MIB)
    problem = "needs 5.0 MiB more, and the disk has 2.0 MiB free; free some and run again"
    with pytest.raises(UserError, match=f"^resources/test/data.bin: {problem}$"):
        obtain(remote(), network)
    assert not PART.exists()
    server.plan("/file", File(length=False))
    with pytest.raises(UserError, match=r"needs 2\.9 MiB more, and the disk has 2\.0 MiB free"):
        obtain(remote(size=3_000_000), network)  # as published, where the server gives none


def test_what_is_here_already_needs_no_space(server, remote, network, free):
    server.plan("/file", File(stop=2 * CHUNK, reset=False), Status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), network)
    here = PART.stat().st_size
    assert here
    server.plan("/file", File())
    free(len(BODY) - here - 1)
    with pytest.raises(UserError, match="free some and run again"):
        obtain(remote(), network)
    free(len(BODY) - here)
    obtain(remote(), network)
    assert DATA.read_bytes() == BODY


def test_a_disk_that_fills_up_keeps_what_came(server, remote, network, monkeypatch):
    server.plan("/file", File())
    problem = r"cannot be written: No space left on device \(free the disk or choose a writable folder\)"
    with monkeypatch.context() as patched, pytest.raises(UserError, match=f"^resources/test/data.bin: {problem}$"):
        patched.setattr(transfer, "open", FullDisk, raising=False)
        obtain(remote(), network)
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={CHUNK}-"]
    assert DATA.read_bytes() == BODY


def test_a_folder_that_cannot_be_written_is_one_line(remote, network):
    Path("resources").write_text("a file where a folder should be")
    problem = r"cannot be written: Not a directory \(free the disk or choose a wri"
    with pytest.raises(UserError, match=rf"^resources/test/data\.bin: {problem}"):
        obtain(remote(), network)
