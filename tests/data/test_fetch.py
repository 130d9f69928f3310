"""From an address to a file that is proved, unpacked and recorded."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import Network, lock_file
from medbench.data.fetch import fetch
from medbench.data.published import Remote
from medbench.data.record import check_contents, fetched, read_manifest
from medbench.run.files import sha256_of
from medbench.run.sealed_files import read_json, write_json


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder that serves as the network, and another one to work in."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def offline(folder: Path) -> Network:
    return Network(offline=True, mirror=str(folder))


def zipped(path: Path, names=("a/1.png", "b/2.png")) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_a_file_that_has_its_hash_is_recorded_as_proved(mirror):
    (mirror / "w.pth").write_bytes(b"weights")
    remote = Remote(source="weights", file="w.pth", hash=f"sha256:{sha256_of(mirror / 'w.pth')}")
    record = fetch(remote, False, offline(mirror))
    assert (record.proved_by, record.differs, record.members, record.size) == (remote.hash, None, None, 7)
    assert remote.path.read_bytes() == b"weights"
    assert fetched(remote) == record


def test_an_archive_is_unpacked_beside_itself(mirror):
    zipped(mirror / "x.zip")
    remote = Remote(source="set", file="x.zip", extract=True)
    record = fetch(remote, False, offline(mirror))
    assert (record.proved_by, record.members) == (None, 2)  # no hash is published: anything may be in it
    assert Path("resources/set/x/a/1.png").read_text() == "a/1.png"
    assert fetched(remote) == record


def test_a_file_put_in_its_place_by_hand_is_found_and_proved(mirror):
    remote = Remote(source="set", file="x.zip", extract=True)
    remote.path.parent.mkdir(parents=True)
    zipped(remote.path)
    before = sha256_of(remote.path)
    assert fetch(remote, False, Network(offline=True)).sha256 == before == sha256_of(remote.path)


def test_another_file_than_the_published_one_is_refused_or_accepted_and_told(mirror):
    zipped(mirror / "x.zip")
    remote = Remote(source="set", file="x.zip", extract=True, hash="md5:" + "0" * 32)
    with pytest.raises(UserError):
        fetch(remote, False, offline(mirror))
    assert not remote.record.exists() and not remote.folder.exists()
    record = fetch(remote, True, offline(mirror))
    assert record.proved_by is None
    assert record.differs.startswith("x.zip has md5:") and record.differs.endswith(f", expected md5:{'0' * 32}")


def test_another_size_is_told_too(mirror):
    zipped(mirror / "x.zip")
    remote = Remote(source="set", file="x.zip", extract=True, size=5)
    size = (mirror / "x.zip").stat().st_size
    assert fetch(remote, True, offline(mirror)).differs == f"x.zip has {size} bytes, expected 5"


def test_the_published_size_alone_proves_nothing(mirror):
    zipped(mirror / "x.zip", ["cats/a.txt"])
    remote = Remote(source="set", file="x.zip", extract=True, size=(mirror / "x.zip").stat().st_size)
    record = fetch(remote, False, offline(mirror))
    assert (record.proved_by, record.differs) == (None, None)


def test_an_archive_that_is_not_safe_leaves_no_record(mirror):
    zipped(mirror / "x.zip", names=["../out.png"])
    remote = Remote(source="set", file="x.zip", extract=True)
    with pytest.raises(UserError, match=r"x\.zip: "):
        fetch(remote, False, offline(mirror))
    assert not remote.record.exists() and not remote.folder.exists()
    assert not Path("resources/set/out.png").exists() and not Path("resources/out.png").exists()


# What is there already ------------------------------------------------------------------------------------------

X = Remote(source="set", file="x.zip", extract=True)
FOLDER = Path("resources/set/x")
FETCH = """
import sys
from medbench.data.download import Network
from medbench.data.fetch import fetch
from medbench.data.published import Remote
print(fetch(Remote.model_validate_json(sys.argv[1]), False, Network(offline=True)).address)
"""


@pytest.mark.parametrize("name", ["x.zip", "w.pth"])
def test_a_new_fetch_still_knows_where_the_file_came_from(mirror, name):
    remote = Remote(source="set", file=name, extract=name == "x.zip")
    zipped(mirror / name)
    first = fetch(remote, False, offline(mirror))
    assert first.address == str(mirror / name)
    remote.record.unlink()  # as Snakemake does before a job
    (mirror / name).unlink()
    assert fetch(remote, False, Network(offline=True)) == first


def test_another_file_put_in_its_place_did_not_come_from_there(mirror):
    zipped(mirror / "x.zip")
    fetch(X, False, offline(mirror))
    zipped(X.path, ["c.png"])
    record = fetch(X, False, offline(mirror))
    assert (record.address, record.members) == ("here already", 1)
    assert sorted(path.name for path in FOLDER.iterdir()) == ["c.png"]


def test_a_folder_that_a_user_made_is_never_removed(mirror):
    zipped(mirror / "x.zip")
    FOLDER.mkdir(parents=True)
    (FOLDER / "mine.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"^resources/set/x: is in the way: x\.zip is unpacked .* of yours; move it"):
        fetch(X, False, offline(mirror))
    assert (FOLDER / "mine.txt").read_text() == "years of work"
    assert not X.path.exists()  # nothing was downloaded for that


def test_what_a_killed_process_left_is_removed_and_nothing_else(mirror):
    zipped(mirror / "x.zip")
    left, other, hidden = (Path("resources/set", name) for name in (".x.a1b2c3_4", ".y.a1b2c3_4", ".x.settings"))
    for folder in (left / "x" / "a", other / "y", hidden / "mine"):
        folder.mkdir(parents=True)
    fetch(X, False, offline(mirror))
    assert (left.exists(), other.exists(), hidden.exists()) == (False, True, True)


def test_what_lies_unpacked_is_not_unpacked_again_unless_it_changed(mirror):
    zipped(mirror / "x.zip")
    record = fetch(X, False, offline(mirror))
    made = FOLDER.stat().st_ino
    assert fetch(X, False, offline(mirror)) == record
    assert FOLDER.stat().st_ino == made
    (FOLDER / "a/1.png").write_text("b/2.p")
    assert fetch(X, False, offline(mirror)) == record
    assert (FOLDER / "a/1.png").read_text() == "a/1.png"


def test_a_process_that_waited_leaves_the_folder_as_it_is(mirror):
    zipped(mirror / "x.zip")
    with lock_file(X.path):
        command = [sys.executable, "-c", FETCH, X.model_dump_json()]
        second = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert second.stderr.readline() == "medbench: resources/set/x.zip: another job is fetching it; waiting\n"
        fetch(X, False, offline(mirror))
        made, record = FOLDER.stat().st_ino, X.record.read_bytes()
    assert second.communicate() == (f"{mirror / 'x.zip'}\n", "")
    assert (FOLDER.stat().st_ino, X.record.read_bytes()) == (made, record)


# What was changed since -----------------------------------------------------------------------------------------


@pytest.fixture
def unpacked(mirror):
    zipped(mirror / "x.zip", ["a/1.png", "b/2.png", 'q"\n\u00e4.png', '"q.png', "Thumbs.db"])
    fetch(X, False, offline(mirror))
    return Path("resources/set/x.zip.manifest.txt")


def test_a_manifest_lists_every_file_of_an_archive(unpacked):
    first, *lines = unpacked.read_text().splitlines()
    assert first == f"# x.zip sha256:{sha256_of(X.path)}"
    assert [line.split("  ", 2)[1:] for line in lines] == [
        ["6", json.dumps('"q.png')],
        ["7", "a/1.png"],
        ["7", "b/2.png"],
        [str(len('q"\n\u00e4.png'.encode())), json.dumps('q"\n\u00e4.png')],
    ]
    files = read_manifest(X).files
    assert files["a/1.png"].sha256 == sha256_of(FOLDER / "a/1.png")
    assert set(files) == {"a/1.png", "b/2.png", '"q.png', 'q"\n\u00e4.png'}


def test_the_first_file_that_differs_is_named(unpacked):
    (FOLDER / "b/2.png").write_text("b")
    (FOLDER / "c.png").touch()
    for message in ("b/2.png has 1 bytes, expected 7", "c.png was added"):
        with pytest.raises(UserError) as error:
            fetched(X)
        assert str(error.value) == (
            f"resources/set/x: {message}: it is not what was unpacked from x.zip; remove {X.record} and run again"
        )
        (FOLDER / "b/2.png").write_text("b/2.png")
    (FOLDER / "a/1.png").rename(FOLDER / "0.png")
    (FOLDER / "0.png").unlink()
    with pytest.raises(UserError, match=r"resources/set/x: a/1\.png is missing: "):
        fetched(X)


def test_what_a_file_manager_leaves_is_no_change(unpacked):
    for name in (".DS_Store", "a/Thumbs.db", "b/._2.png", "desktop.ini"):
        (FOLDER / name).write_text("litter")
    assert fetched(X).members == 4


def test_a_changed_manifest_proves_nothing(unpacked):
    unpacked.write_text(unpacked.read_text().replace("  7  ", "  8  "))
    for missing in (False, True):
        if missing:
            unpacked.unlink()
        with pytest.raises(
            UserError, match=r"x\.zip\.manifest\.txt: is gone or was changed since x\.zip was unpacked; rem"
        ):
            fetched(X)


def test_contents_of_the_same_size_are_told_apart_when_they_are_read(unpacked):
    paths = [FOLDER / "a/1.png", FOLDER / "b/2.png"]
    check_contents(X, paths)
    paths[1].write_text("b/3.png")
    assert fetched(X)  # names and sizes are the same
    with pytest.raises(UserError, match=r"^resources/set/x/b/2\.png: is not what was unpacked from x\.zip; remove res"):
        check_contents(X, paths)


def test_a_record_that_lists_no_files_is_none_of_an_archive(unpacked):
    write_json(X.record, read_json(X.record) | {"manifest": None})
    with pytest.raises(UserError, match=r"fetched\.json: does not say what was unpacked; remove"):
        fetched(X)


def test_a_listing_trusts_the_size_of_a_file_and_a_stage_does_not(mirror):
    (mirror / "w.pth").write_bytes(b"weights")
    remote = Remote(source="weights", file="w.pth")
    fetch(remote, False, offline(mirror))
    remote.path.write_bytes(b"WEIGHTS")
    assert fetched(remote, quick=True)
    with pytest.raises(UserError, match=r"w\.pth: is gone or was changed since it was fetched; remove"):
        fetched(remote)
    remote.path.write_bytes(b"more weights")
    with pytest.raises(UserError, match=r"w\.pth: is gone or was changed since it was fetched; remove"):
        fetched(remote, quick=True)


def test_what_is_not_fetched_says_what_to_run(mirror):
    with pytest.raises(
        UserError, match=r"^resources/set/x\.zip: is not fetched yet \(snakemake fetch_all --cores 1\)$"
    ):
        fetched(X)
