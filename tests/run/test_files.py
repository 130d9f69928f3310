"""Files are written whole or not at all, and hashes that are remembered hold after every change."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors import SafetensorError

from medbench.core.errors import UserError
from medbench.core.sections import canonical_json
from medbench.run import files
from medbench.run.files import (
    RememberedHashes,
    files_below,
    remove_all_stale,
    replacing,
    sha256_of,
    sha256_of_folder,
    write_text,
)
from medbench.run.formats import read_npz, write_json, write_npz
from tests.helpers.files import read_only


def test_same_arrays_same_bytes(tmp_path):
    arrays = {"images": np.arange(12, dtype=np.uint8).reshape(3, 2, 2), "labels": np.array([0, 1, 0])}
    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name, arrays)
        os.utime(tmp_path / name, (0, 0))
    assert sha256_of(tmp_path / "a.npz") == sha256_of(tmp_path / "b.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["images"], arrays["images"])


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", {"rows": [{"value": value}]})
    assert list(tmp_path.iterdir()) == []


def test_files_behind_links_count_once_and_litter_does_not(tmp_path):
    store, linked = tmp_path / "store", tmp_path / "linked"
    write_text(store / "a/1.png", "1")
    linked.mkdir()
    (linked / "a").symlink_to(store / "a")
    (linked / "gone").symlink_to(tmp_path / "nowhere")
    before = sha256_of_folder(store)
    assert sha256_of_folder(linked) == before
    (store / "a/up").symlink_to(store)  # round and round
    assert [name for name, _ in files_below(store)] == ["a/1.png"]
    for name in ("a/.DS_Store", "a/Thumbs.db", "a/._1.png", "__MACOSX/1.png"):
        write_text(store / name, "x")
    assert sha256_of_folder(linked) == sha256_of_folder(store) == before
    write_text(store / "a/1.png", "2")
    changed = sha256_of_folder(linked)
    write_text(store / "a/2.png", "2")
    assert len({before, changed, sha256_of_folder(linked)}) == 3


def test_a_failure_halfway_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "table.md", "old")
    with pytest.raises(RuntimeError, match="halfway"), replacing(tmp_path / "table.md") as temporary:
        temporary.write_text("half")
        raise RuntimeError("halfway")
    assert (tmp_path / "table.md").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]


def test_a_file_that_cannot_be_read_is_not_called_unwritable(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out" / "table.md"):
        (tmp_path / "in" / "missing.txt").read_text()


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for content in ("old", "new"):
        with replacing(tmp_path / "model") as temporary:
            write_text(temporary / f"{content}.txt", content)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new.txt"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    denied = r"table\.md: cannot be written: Permission denied"
    with read_only(tmp_path), pytest.raises(UserError, match=denied):
        write_text(tmp_path / "results" / "table.md", "text")
    assert list(tmp_path.iterdir()) == []


FLIPPED = io.BytesIO()
np.savez_compressed(FLIPPED, images=np.arange(5000) % 7)
FLIPPED.getbuffer()[200] ^= 0xFF


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off", FLIPPED.getvalue()])
def test_what_is_not_an_npz_is_named(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.npz: is not a readable npz"):
        read_npz(tmp_path / "x.npz")


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="pickled objects"):
        read_npz(tmp_path / "x.npz")


def test_canonical_json_has_one_spelling_and_no_nan():
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))


LEFT = """
import os, signal, sys
from pathlib import Path
from medbench.run.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writing(tmp_path):
    """Another process, in the middle of writing tmp_path/model."""
    command = [sys.executable, "-c", LEFT, str(tmp_path / "model")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_what_a_killed_process_was_writing_is_removed_by_the_next_that_writes_there(tmp_path, writing):
    writing.kill()
    writing.wait()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".model.")
    write_text(tmp_path / "another", "of another job")
    assert left.exists()
    write_text(tmp_path / "model", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "model"]


def test_what_is_being_written_is_left_alone(tmp_path, writing):
    write_text(tmp_path / "model", "first")
    remove_all_stale(tmp_path)
    writing.communicate("")
    assert (tmp_path / "model").read_text() == "half"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["models.abcd1234", ".model.backup", ".model.abcd1234"])
def test_what_looks_like_a_leftover_and_is_none_stays(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "notes.txt").write_text("mine")
    write_text(tmp_path / "model", "whole")
    assert (tmp_path / name / "notes.txt").exists()


def test_a_full_disk_is_named_whatever_writes(tmp_path):
    with pytest.raises(UserError, match=r"model: cannot be written: .*No space left"), replacing(tmp_path / "model"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_read_again_only_where_it_may_have_changed(tmp_path, monkeypatch):
    path, memory, read = tmp_path / "a.png", tmp_path / "hashes.json", []
    monkeypatch.setattr(files, "sha256_of", lambda path: read.append(path.name) or sha256_of(path))
    path.write_bytes(b"one")
    for _ in range(2):
        hashes = RememberedHashes(memory)
        assert hashes.sha256(path) == sha256_of(path)
        hashes.save()
    assert read == ["a.png"]
    times = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as rsync and cp -p do
    assert RememberedHashes(memory).sha256(path) == sha256_of(path)
    assert read == ["a.png"] * 2


@pytest.mark.parametrize("content", ["", "[1]", '{"a', None])
def test_a_damaged_memory_is_none_and_one_that_cannot_be_written_stays_away(tmp_path, content):
    path, memory = tmp_path / "a.png", tmp_path / "folder" / "hashes.json"
    path.write_bytes(b"one")
    if content is not None:
        write_text(memory, content)
    hashes = RememberedHashes(memory)
    assert hashes.sha256(path) == sha256_of(path)
    hashes.save()
    assert memory.parent.exists() == (content is not None)
