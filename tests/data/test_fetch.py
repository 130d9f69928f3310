"""From an address to a file that is proved, unpacked and recorded, and what is noticed when it changes."""

import json
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download.network import Network
from medbench.data.fetch import fetch
from medbench.data.fetched import check_contents, fetched, read_manifest, write_manifest
from medbench.data.published import Remote
from medbench.run.files import sha256_of
from medbench.run.records import read_sealed, write_sealed
from medbench.system.folder_lock import in_turn

X = Remote(source="set", file="x.zip", extract=True)
FOLDER = Path("resources/set/x")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder with x.zip that serves as the network, and another one to work in."""
    (tmp_path / "mirror").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    zipped(tmp_path / "mirror/x.zip")
    return tmp_path / "mirror"


def zipped(path: Path, names=("a/1.png", "b/2.png")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def fetch_from(mirror, remote=X, accept_changed=False):
    return fetch(remote, accept_changed, Network(offline=True, mirror=str(mirror)))


def test_a_file_that_has_its_hash_is_recorded_as_proved(mirror):
    (mirror / "w.pth").write_bytes(b"weights")
    remote = Remote(source="weights", file="w.pth", hash=f"sha256:{sha256_of(mirror / 'w.pth')}")
    record = fetch_from(mirror, remote)
    assert (record.proved_by, record.differs, record.members, record.size) == (remote.hash, None, None, 7)
    assert remote.path.read_bytes() == b"weights"
    assert fetched(remote) == record


@pytest.mark.parametrize("sized", [False, True])
def test_an_archive_without_a_hash_is_unpacked_beside_itself_and_proves_nothing(mirror, sized):
    remote = X.model_copy(update={"size": (mirror / "x.zip").stat().st_size}) if sized else X
    record = fetch_from(mirror, remote)
    assert (record.proved_by, record.differs, record.members) == (None, None, 2)  # anything may be in it
    assert (FOLDER / "a/1.png").read_text() == "a/1.png"
    assert fetched(remote) == record


def test_a_file_put_in_its_place_by_hand_is_found_and_proved(mirror):
    before = sha256_of(zipped(X.path))
    assert fetch(X, False, Network(offline=True)).sha256 == before == sha256_of(X.path)


def test_another_file_than_the_published_one_is_refused_or_accepted_and_noted(mirror):
    remote = X.model_copy(update={"hash": "md5:" + "0" * 32})
    with pytest.raises(UserError):
        fetch_from(mirror, remote)
    assert not remote.record.exists() and not remote.folder.exists()
    record = fetch_from(mirror, remote, accept_changed=True)
    assert record.proved_by is None
    assert record.differs.startswith("x.zip has md5:") and record.differs.endswith(f", expected md5:{'0' * 32}")
    size = (mirror / "x.zip").stat().st_size
    record = fetch_from(mirror, X.model_copy(update={"size": 5}), accept_changed=True)
    assert record.differs == f"x.zip has {size} bytes, expected 5"


def test_an_archive_that_is_not_safe_leaves_no_record(mirror):
    zipped(mirror / "x.zip", names=["../out.png"])
    with pytest.raises(UserError, match=r"x\.zip: "):
        fetch_from(mirror)
    assert not X.record.exists() and not FOLDER.exists()
    assert not list(Path("resources").rglob("out.png"))


# What is there already ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.zip", "w.pth"])
def test_a_new_fetch_still_knows_where_the_file_came_from(mirror, name):
    remote = Remote(source="set", file=name, extract=name == "x.zip")
    zipped(mirror / name)
    first = fetch_from(mirror, remote)
    assert first.address == str(mirror / name)
    remote.record.unlink()  # as Snakemake does before a job
    (mirror / name).unlink()
    assert fetch(remote, False, Network(offline=True)) == first


def test_another_file_put_in_its_place_did_not_come_from_there(mirror):
    fetch_from(mirror)
    zipped(X.path, ["c.png"])
    record = fetch_from(mirror)
    assert (record.address, record.members) == ("here already", 1)
    assert sorted(path.name for path in FOLDER.iterdir()) == ["c.png"]


def test_a_folder_that_a_user_made_is_never_removed(mirror):
    FOLDER.mkdir(parents=True)
    (FOLDER / "mine.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"^resources/set/x: is in the way: x\.zip is unpacked .* of yours; move it"):
        fetch_from(mirror)
    assert (FOLDER / "mine.txt").read_text() == "years of work"
    assert not X.path.exists()  # nothing was downloaded for that


def test_what_a_killed_process_left_is_removed_and_nothing_else(mirror):
    names = ".x.a1b2c3_4", ".y.a1b2c3_4", ".x.settings"
    left, others, hidden = (Path("resources/set", name) for name in names)
    for folder in (left / "x" / "a", others / "mine", hidden / "mine"):
        folder.mkdir(parents=True)
    fetch_from(mirror)
    assert (left.exists(), others.exists(), hidden.exists()) == (False, True, True)


def test_a_folder_never_lies_here_without_its_manifest(mirror, monkeypatch):
    def killed(*arguments):
        write_manifest(*arguments)
        assert not FOLDER.exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("medbench.data.fetch.write_manifest", killed)
        fetch_from(mirror)
    assert X.manifest.exists() and not FOLDER.exists()
    fetch_from(mirror)
    assert (FOLDER / "a/1.png").exists()


def test_what_lies_unpacked_is_not_unpacked_again_unless_it_changed(mirror):
    record = fetch_from(mirror)
    inode = FOLDER.stat().st_ino
    assert fetch_from(mirror) == record
    assert FOLDER.stat().st_ino == inode
    for changed in ("b/2.p", "b/2.png"):  # the latter is as long as it was
        (FOLDER / "a/1.png").write_text(changed)
        assert fetch_from(mirror) == record
        assert (FOLDER / "a/1.png").read_text() == "a/1.png"


FETCH = """
import sys
from medbench.data.download.network import Network
from medbench.data.fetch import fetch
from medbench.data.published import Remote
print(fetch(Remote.model_validate_json(sys.argv[1]), False, Network(offline=True)).address)
"""


def test_a_process_that_waited_leaves_the_folder_as_it_is(mirror):
    with in_turn(X.path):
        command = [sys.executable, "-c", FETCH, X.model_dump_json()]
        second = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        who = f"process {os.getpid()} on {platform.node()}"
        assert second.stderr.readline() == f"medbench: resources/set/x.zip: {who} is working on it; waiting\n"
        fetch_from(mirror)
        inode, record = FOLDER.stat().st_ino, X.record.read_bytes()
    assert second.communicate() == (f"{mirror / 'x.zip'}\n", "")
    assert (FOLDER.stat().st_ino, X.record.read_bytes()) == (inode, record)


# What was changed since -----------------------------------------------------------------------------------------


@pytest.fixture
def unpacked(mirror):
    zipped(mirror / "x.zip", ["a/1.png", "b/2.png", 'q"\n\u00e4.png', '"q.png', "Thumbs.db"])
    fetch_from(mirror)


def test_a_manifest_lists_every_file_of_an_archive(unpacked):
    first, *lines = X.manifest.read_text().splitlines()
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
    for difference in ("b/2.png has 1 bytes, expected 7", "c.png was added"):
        with pytest.raises(UserError) as error:
            fetched(X)
        assert str(error.value) == (
            f"resources/set/x: {difference}: it is not what was unpacked from x.zip; remove {X.record} and run again"
        )
        (FOLDER / "b/2.png").write_text("b/2.png")
    (FOLDER / "a/1.png").unlink()
    with pytest.raises(UserError, match=r"resources/set/x: a/1\.png is missing: "):
        fetched(X)


def test_what_a_file_manager_leaves_is_no_change(unpacked):
    for name in (".DS_Store", "a/Thumbs.db", "b/._2.png", "desktop.ini"):
        (FOLDER / name).write_text("litter")
    assert fetched(X).members == 4


def test_a_changed_or_missing_manifest_proves_nothing(unpacked):
    problem = r"x\.zip\.manifest\.txt: is gone or was changed since x\.zip was unpacked; rem"
    X.manifest.write_text(X.manifest.read_text().replace("  7  ", "  8  "))
    with pytest.raises(UserError, match=problem):
        fetched(X)
    X.manifest.unlink()
    with pytest.raises(UserError, match=problem):
        fetched(X)


def test_contents_of_the_same_size_differ_when_they_are_read(unpacked):
    paths = [FOLDER / "a/1.png", FOLDER / "b/2.png"]
    check_contents(X, paths)
    paths[1].write_text("b/3.png")
    assert fetched(X)  # names and sizes are the same
    with pytest.raises(UserError, match=r"^resources/set/x/b/2\.png: is not what was unpacked from x\.zip; remove res"):
        check_contents(X, paths)


def test_a_record_that_lists_no_files_is_none_of_an_archive(unpacked):
    write_sealed(X.record, read_sealed(X.record) | {"manifest": None})
    with pytest.raises(UserError, match=r"manifest\.txt: is gone or was changed since x\.zip was unpacked; remove"):
        fetched(X)


def test_a_listing_trusts_the_size_of_a_file_and_a_stage_does_not(mirror):
    remote = Remote(source="weights", file="w.pth")
    with pytest.raises(UserError, match=r"^resources/weights/w\.pth: is not fetched yet \(snakemake fetch_all --cor"):
        fetched(remote)
    (mirror / "w.pth").write_bytes(b"weights")
    fetch_from(mirror, remote)
    remote.path.write_bytes(b"WEIGHTS")
    assert fetched(remote, quick=True)
    with pytest.raises(UserError, match=r"w\.pth: is gone or was changed since it was fetched; remove"):
        fetched(remote)
    remote.path.write_bytes(b"more weights")
    with pytest.raises(UserError, match=r"w\.pth: is gone or was changed since it was fetched; remove"):
        fetched(remote, quick=True)
