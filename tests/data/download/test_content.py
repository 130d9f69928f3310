"""What arrives is the file, or is not used."""

import gzip
import hashlib
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import obtain
from medbench.data.download.request import CHUNK

DATA = Path("resources/test/data.bin")
PART = Path(f"{DATA}.part")


def test_a_file_arrives_whole_and_alone(server, remote, network):
    server.plan("/file", server.file())
    assert obtain(remote(), network) == f"{server.url}/file"
    assert DATA.read_bytes() == server.body
    assert sorted(path.name for path in DATA.parent.iterdir()) == ["data.bin", "data.bin.lock"]
    assert server.asked("Accept-Encoding") == ["identity"]


def test_a_body_of_unknown_length_is_taken(server, remote, network):
    server.plan("/file", server.file(length=False))
    obtain(remote(), network)
    assert DATA.read_bytes() == server.body


@pytest.mark.parametrize(
    "answer",
    [
        {"body": b"sorry", "headers": {"Content-Type": "text/html; charset=utf-8"}},
        {"body": b"\xef\xbb\xbf\n <!DOCTYPE html><p>sorry"},
        {"body": b"<HTML>sorry"},
    ],
)
def test_a_page_instead_of_the_file_is_refused(server, remote, network, cut, answer):
    server.plan("/file", cut, server.file(**answer, ranges=False))
    with pytest.raises(UserError, match="sent an HTML page, not the file") as error:
        obtain(remote(), network)
    assert "\n" not in str(error.value)
    assert PART.read_bytes() == server.body[: 2 * CHUNK]  # the page did not cost what was here


def test_a_wrong_hash_is_kept_aside_and_not_used(server, remote, network):
    other = server.body[::-1]
    sha256 = hashlib.sha256(other).hexdigest()
    server.plan("/file", server.file(body=other))
    with pytest.raises(UserError) as error:
        obtain(remote(), network)
    kept = f"{DATA}.wrong-{sha256[:8]}"
    expected = f"what it sent has sha256:{sha256}, expected {remote().hash}; kept as {kept}, not used"
    assert f"{server.url}/file ({expected}); get it" in str(error.value)
    assert "if its publisher has rebuilt it, go on with it by accept: changed" in str(error.value)
    assert Path(kept).read_bytes() == other
    assert sorted(path.name for path in DATA.parent.iterdir()) == ["data.bin.lock", Path(kept).name]


def test_an_md5_is_checked_as_one(server, remote, network):
    server.plan("/file", server.file())
    obtain(remote(hash=f"md5:{hashlib.md5(server.body).hexdigest()}"), network)
    DATA.unlink()
    with pytest.raises(UserError, match=f"has md5:{hashlib.md5(server.body).hexdigest()}, expected md5:0000"):
        obtain(remote(hash=f"md5:{'0' * 32}"), network)


@pytest.mark.parametrize(("file", "kind"), [("data.zip", "zip"), ("data.npz", "zip"), ("data.tar.gz", "tar")])
def test_without_a_hash_an_archive_must_be_one(server, remote, network, file, kind):
    server.plan("/file", server.file())
    with pytest.raises(UserError, match=rf"is not a readable {kind} archive; kept as resources/test/{file}\.wrong-"):
        obtain(remote(file=file, hash=None), network)
    assert not Path("resources/test", file).exists()


def test_a_wrong_size_is_refused_before_the_body(server, remote, network):
    server.plan("/file", server.file())
    with pytest.raises(UserError, match=r"\(has 300000 bytes, expected 5\)"):
        obtain(remote(size=5), network)
    assert not PART.exists()


def test_a_body_that_is_compressed_all_the_same_is_unpacked(server, remote, network):
    server.plan("/file", server.file(body=gzip.compress(server.body), headers={"Content-Encoding": "gzip"}))
    obtain(remote(size=len(server.body)), network)
    assert DATA.read_bytes() == server.body
