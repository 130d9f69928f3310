"""A server that misbehaves, a folder to work in, and nobody's settings."""

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from medbench.data.download.network import Network
from medbench.data.download.transfer import CHUNK
from medbench.data.published import Remote
from tests.helpers.web_server import BODY, File, Misbehaving


@pytest.fixture
def server():
    with Misbehaving() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """A folder to work in, and nobody's settings: no proxy, no credentials, no mirror."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("KAGGLE_", "MEDBENCH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch) -> None:
    """No test asks for an address elsewhere."""
    resolve = socket.getaddrinfo

    def resolve_here(host: str, *arguments: object, **options: object) -> list:
        assert host in ("127.0.0.1", "localhost"), f"a test reaches for {host}"
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)


@pytest.fixture
def network() -> Network:
    """Patient, without the waiting."""
    return Network(waits=(0, 0, 0), timeout=(5, 5))


@pytest.fixture
def remote(server):
    """A function that makes the remote file of `BODY` at the server's /file."""

    def make(**changes: object) -> Remote:
        sha256 = hashlib.sha256(BODY).hexdigest()
        given = {"source": "test", "file": "data.bin", "urls": (f"{server.url}/file",), "hash": f"sha256:{sha256}"}
        return Remote(**(given | changes))

    return make


@pytest.fixture
def part_has() -> Callable[[int], Callable[[], bool]]:
    """Makes what holds once so many bytes are on the disk: a reset throws away what is still on its way."""
    part = Path("resources/test/data.bin.part")
    return lambda size: lambda: part.is_file() and part.stat().st_size >= size


@pytest.fixture
def cut(part_has) -> File:
    """An answer that breaks off after the second chunk has been written."""
    return File(stop=2 * CHUNK + 100, when=part_has(2 * CHUNK))
