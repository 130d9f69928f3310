"""A disk that is full or not writable."""

import errno
import io
import os
from collections import namedtuple
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import obtain, request
from medbench.data.download.request import CHUNK

DATA = Path("resources/test/data.bin")
PART = Path(f"{DATA}.part")
MIB = 2**20


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
    server.plan("/file", server.file(headers={"Content-Length": str(5 * MIB)}))
    free(2 * MIB)
    with pytest.raises(UserError) as error:
        obtain(remote(), network)
    assert str(error.value) == (
        "resources/test/data.bin: needs 5.0 MiB more, and the disk has 2.0 MiB free; free some and run again"
    )
    assert not PART.exists()


def test_what_is_here_already_needs_no_space(server, remote, network, free):
    server.plan("/file", server.file(stop=2 * CHUNK, reset=False), server.status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), network)
    here = PART.stat().st_size
    assert here
    server.plan("/file", server.file())
    free(len(server.body) - here - 1)
    with pytest.raises(UserError, match="free some and run again"):
        obtain(remote(), network)
    free(len(server.body) - here)
    obtain(remote(), network)
    assert DATA.read_bytes() == server.body


def test_the_known_size_counts_where_the_server_gives_none(server, remote, network, free):
    server.plan("/file", server.file(length=False))
    free(100_000)
    with pytest.raises(UserError, match=r"needs 0\.3 MiB more, and the disk has 0\.1 MiB free"):
        obtain(remote(size=300_000), network)


def test_a_disk_that_fills_up_keeps_what_came(server, remote, network, monkeypatch):
    server.plan("/file", server.file())
    with monkeypatch.context() as patched, pytest.raises(UserError) as error:
        patched.setattr(request, "open", FullDisk, raising=False)
        obtain(remote(), network)
    assert str(error.value) == (
        "resources/test/data.bin: the disk is full after 0.1 MiB, which are kept; free some and run again"
    )
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={CHUNK}-"]
    assert DATA.read_bytes() == server.body


def test_a_folder_that_cannot_be_written_is_one_line(remote, network):
    Path("resources").write_text("a file where a folder should be")
    with pytest.raises(
        UserError, match=r"^resources/test/data\.bin: cannot be written: Not a directory \(choose a wri"
    ):
        obtain(remote(), network)
