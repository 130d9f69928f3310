"""A record covers every byte of what it stands beside, and of itself; a job that was killed heals by the same call."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.core.sections import Stage
from medbench.run.files import sha256_of, write_text
from medbench.run.formats import SUMS, write_json, write_npz, write_sums
from medbench.run.records import Damaged, read_record, read_sealed, recorded, require, write_sealed
from medbench.system.folder_lock import LOCK, claim

VALUE = {"name": "größe", "seal of": [1, {"seal": "0" * 64}], "zero": 0.0, "last": {"nested": {}}}


class Section(Stage):
    name: str = "ct"


@pytest.fixture
def run(tmp_path) -> Path:
    """A folder in which Snakemake worked, with a file that is made from another."""
    os.close(claim(tmp_path / LOCK))
    with recorded("prepare", [tmp_path / "raw/ct.npz", tmp_path / "raw/ct.json"]):
        write_npz(tmp_path / "raw/ct.npz", {"images": np.arange(12, dtype=np.uint8)})
        write_json(tmp_path / "raw/ct.json", {"name": "ct"})
    write_text(tmp_path / "weights.bin", "weights")
    outputs, inputs = [tmp_path / "scores/ct.json"], [tmp_path / "raw/ct.npz", None]
    section = Section()
    with recorded("utility", outputs, section, "abc", inputs, given=[tmp_path / "weights.bin"]):
        write_json(tmp_path / "scores/ct.json", VALUE)
    return tmp_path


def test_a_record_says_from_what_with_what_and_when(run):
    record = read_record(run / "scores/ct.json")
    assert (record.stage, record.code, record.section) == ("utility", "abc", {"name": "ct"})
    assert record.made_with == Section().made_with()
    assert record.sha256 == {"ct.json": sha256_of(run / "scores/ct.json")}
    assert record.made_from == {
        "../raw/ct.npz": read_record(run / "raw/ct.json").sha256["ct.npz"],
        "../weights.bin": sha256_of(run / "weights.bin"),
    }
    assert {"medbench", "python", "torch"} < set(record.versions)
    assert record.host and record.started <= record.ended


@pytest.mark.parametrize("name", ["scores/ct.json", "scores/ct.record.json", "raw/ct.npz"])
def test_every_byte_counts(run, name):
    path, product = run / name, run / name.replace(".record", "")
    content = path.read_bytes()
    require(product)
    for at in range(len(content)):
        for damaged in (content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], content[:at]):
            path.write_bytes(damaged)
            with pytest.raises(Damaged) as error:
                require(product)
            stem = product.with_suffix("")
            assert str(error.value).startswith(f"{path}: is damaged (") and "\n" not in str(error.value)
            assert f"; remove it: rm -r {stem}." in str(error.value)
            assert set(error.value.remove) == set(path.parent.iterdir())


def test_what_is_not_there_or_has_no_record_is_one_line(run):
    with pytest.raises(UserError, match=r"raw/xray\.npz: no such file$"):
        require(run / "raw/xray.npz")
    (run / "raw/ct.record.json").unlink()
    with pytest.raises(
        Damaged, match=r"its record, ct\.record\.json, is not beside it.*; remove it: rm -r .*ct\.json .*npz$"
    ):
        require(run / "raw/ct.npz")


def test_what_lies_where_no_run_is_may_be_anybodys(tmp_path):
    write_json(tmp_path / "mine.json", {})
    with pytest.raises(UserError, match=r"mine\.json: is damaged \(its record.*; make it again$"):
        require(tmp_path / "mine.json")


def test_what_it_was_made_from_is_what_lay_there_when_it_began(run):
    """Of what others check, the hash that its record holds; of what is not there, nothing."""
    outputs, given, page = [run / "page.json"], [run / "weights.bin", run / "nothing.bin"], run / "tables"
    before = sha256_of(run / "weights.bin")
    with recorded("page", outputs, given=given, named=[run / "raw/ct.npz", page]):
        write_text(run / "weights.bin", "others")
        write_json(run / "page.json", {})
    made_from = {"weights.bin": before, "raw/ct.npz": sha256_of(run / "raw/ct.npz")}
    assert read_record(run / "page.json").made_from == made_from


def test_what_cannot_be_read_is_one_line(run, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("medbench.run.records.sha256_of", refuse)
    with pytest.raises(UserError, match=r"raw/ct\.npz: cannot be read: Permission denied$") as error:
        require(run / "raw/ct.npz")
    assert not isinstance(error.value, Damaged)
    refused = pytest.raises(UserError, match=r"weights\.bin: cannot be read: Permission denied$")
    with refused, recorded("train", [], given=[run / "weights.bin"]):
        pytest.fail("it began")


def test_a_job_does_not_start_on_what_is_damaged(run):
    (run / "raw/ct.npz").write_bytes(b"cut")
    begun = []
    with pytest.raises(Damaged), recorded("utility", [], inputs=[run / "raw/ct.npz"]):
        begun.append(1)
    assert begun == []


def test_a_job_that_fails_leaves_no_record(run):
    with pytest.raises(ValueError), recorded("fidelity", [run / "scores/fid.json"]):
        write_json(run / "scores/fid.json", {})
        raise ValueError
    assert not (run / "scores/fid.record.json").exists()


KILLED = """
import os, sys
from pathlib import Path
from medbench.run import records
from medbench.run.formats import write_json
path = Path(sys.argv[1])
if sys.argv[2:]:
    records.write_sealed = lambda *arguments: os._exit(9)
with records.recorded("fidelity", [path]):
    write_json(path, {"value": len(sys.argv)})
"""


@pytest.mark.parametrize("before", [False, True])
def test_a_kill_between_product_and_record_heals_by_the_same_call(run, before):
    """Also where the record of an earlier call lies there still."""
    path = run / "scores/fid.json"
    call = [sys.executable, "-c", KILLED, path]
    if before:
        subprocess.run(call, check=True)
    assert subprocess.run([*call, "killed"], check=False).returncode == 9
    with pytest.raises(Damaged):
        require(path)
    subprocess.run(call, check=True)
    require(path)


def test_sealed_json_is_read_as_it_was_written(tmp_path):
    write_sealed(tmp_path / "a.json", VALUE)
    assert read_sealed(tmp_path / "a.json") == VALUE
    with pytest.raises(UserError, match=r"b\.json: cannot be read: No such file"):
        read_sealed(tmp_path / "b.json")


@pytest.fixture
def folder(tmp_path) -> Path:
    os.close(claim(tmp_path / LOCK))
    with recorded("train", [tmp_path / "model"]):
        write_text(tmp_path / "model/vae/weights.bin", "weights")
        write_text(tmp_path / "model/README.md", "# Model\n")
        write_sums(tmp_path / "model")
    write_text(tmp_path / "model/.snakemake_timestamp", "")
    return tmp_path / "model"


def test_every_byte_of_a_folder_counts(folder):
    before = require(folder)
    for path in (folder / name for name in ("vae/weights.bin", "README.md", SUMS)):
        content = path.read_bytes()
        for at in range(len(content)):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(UserError, match=rf"is damaged \(.*\); remove it: rm -r {folder} {folder}.record.json$"):
                require(folder)
        path.write_bytes(content)
    assert require(folder) == before


def test_sha256sum_reads_the_list(folder):
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, check=True)


def test_of_one_member_that_is_read_every_byte_counts_and_of_others_none(folder):
    (folder / "vae/weights.bin").write_text("wEights")
    require(folder, "README.md")
    with pytest.raises(Damaged, match=rf"content is not what SHA256SUMS says\); remove it: rm -r {folder} "):
        require(folder, "vae/weights.bin")


def test_what_is_missing_or_too_much_is_named(folder):
    write_text(folder / "mine.txt", "")
    require(folder, "README.md")
    for member in (None, "mine.txt"):
        with pytest.raises(UserError, match=rf"SHA256SUMS does not list it\); remove it: rm -r {folder}/mine\.txt$"):
            require(folder, member)
    (folder / "README.md").unlink()
    with pytest.raises(UserError, match=r"README\.md: is damaged \(.*it is not there"):
        require(folder, "README.md")
    (folder / SUMS).unlink()
    with pytest.raises(UserError, match=r"model: is damaged \(it holds no SHA256SUMS\)"):
        require(folder)


def test_what_somebody_put_beside_a_file_is_not_removed_with_it(run):
    for name in ("raw/ct.txt", "raw/ct/image.png"):
        write_text(run / name, "mine")
    with (run / "raw/ct.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Damaged) as error:
        require(run / "raw/ct.npz")
    assert [path.name for path in error.value.remove] == ["ct.json", "ct.npz", "ct.record.json"]


def test_a_call_does_not_take_the_record_of_another_file(run):
    """A user who works by hand would call features of ct.npz by the same name."""
    begun = []
    with (
        pytest.raises(UserError, match=r"ct\.record\.json: is the record of .*ct\.json, which another call wrote"),
        recorded("features", [run / "raw/ct.safetensors"]),
    ):
        begun.append(1)
    assert begun == []
    with pytest.raises(UserError, match="written twice"), recorded("audit", [run / "x.json", run / "x.json"]):
        pass
    with recorded("prepare", [run / "raw/ct.npz", run / "raw/ct.json"]):
        pass
