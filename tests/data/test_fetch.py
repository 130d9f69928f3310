"""From an address to a file that is proved, unpacked and recorded."""

import zipfile
from pathlib import Path

import pytest

from medbench.data.download import Network
from medbench.data.fetch import fetch
from medbench.data.record import fetched
from medbench.data.remote import Remote
from medbench.errors import UserError
from medbench.files import sha256_of


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
    assert (record.proved_by, record.members) == ("content", 2)
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
    assert record.proved_by == "content"
    assert record.differs.startswith("x.zip has md5 ") and record.differs.endswith(f"published is {'0' * 32}")


def test_another_size_is_told_too(mirror):
    zipped(mirror / "x.zip")
    remote = Remote(source="set", file="x.zip", extract=True, size=5)
    size = (mirror / "x.zip").stat().st_size
    assert fetch(remote, True, offline(mirror)).differs == f"x.zip has {size} bytes, published are 5"


def test_an_archive_that_is_not_safe_leaves_no_record(mirror):
    zipped(mirror / "x.zip", names=["../out.png"])
    remote = Remote(source="set", file="x.zip", extract=True)
    with pytest.raises(UserError, match=r"x\.zip: "):
        fetch(remote, False, offline(mirror))
    assert not remote.record.exists() and not remote.folder.exists()
    assert not Path("resources/set/out.png").exists() and not Path("resources/out.png").exists()
