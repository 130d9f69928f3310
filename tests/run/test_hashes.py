"""Hashes that are remembered: right after every change, and read once."""

import os

import pytest

from medbench.run import hashes
from medbench.run.files import sha256_of
from medbench.run.hashes import Hashes


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read."""
    names: list[str] = []

    def counted(path):
        names.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(hashes, "sha256_of", counted)
    return names


def test_a_file_is_read_again_only_where_it_may_have_changed(tmp_path, read):
    path, memory = tmp_path / "a.png", tmp_path / "hashes.json"
    path.write_bytes(b"one")
    for _ in range(2):
        known = Hashes(memory)
        assert known.sha256(path) == sha256_of(path)
        known.remember()
    assert read == ["a.png"]
    times = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as rsync and cp -p do
    assert Hashes(memory).sha256(path) == sha256_of(path)
    assert read == ["a.png"] * 2


@pytest.mark.parametrize("content", ["", "[1]", '{"a'])
def test_a_damaged_memory_is_none(tmp_path, content):
    (tmp_path / "hashes.json").write_text(content)
    (tmp_path / "a.png").write_bytes(b"one")
    known = Hashes(tmp_path / "hashes.json")
    assert known.sha256(tmp_path / "a.png") == sha256_of(tmp_path / "a.png")


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path):
    (tmp_path / "a.png").write_bytes(b"one")
    known = Hashes(tmp_path / "nowhere" / "hashes.json")
    known.sha256(tmp_path / "a.png")
    known.remember()
    assert not (tmp_path / "nowhere").exists()
