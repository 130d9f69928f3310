"""A file that is there already, and what is said where it must be brought by hand."""

import io
import socket
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from medbench.core.errors import UserError
from medbench.data.download.network import Network
from medbench.data.fetch import obtain

OFFLINE = Network(offline=True)
SHA256_OF_A = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


@pytest.fixture(autouse=True)
def no_socket(monkeypatch):
    """None of this needs one."""

    def refuse(*arguments, **options):
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture
def server():
    """Not running."""
    return SimpleNamespace(url="http://127.0.0.1:1")


def place(content: bytes, file: str = "data.bin", folder: Path = Path("resources/test")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    return folder / file


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "a")
    return archive.getvalue()


@pytest.mark.parametrize("network", [Network(), OFFLINE])
def test_the_right_file_is_used(remote, network):
    place(b"a")
    assert obtain(remote(hash=SHA256_OF_A, size=1), network) == "here already"
    assert [path.name for path in Path("resources/test").iterdir()] == ["data.bin"]  # a folder may be read only


def test_a_wrong_file_is_named_and_left_alone(remote):
    path = place(b"a")
    with pytest.raises(UserError) as error:
        obtain(remote(hash=f"sha256:{'0' * 64}", page="https://example.org/get"), Network())
    assert str(error.value) == (
        f"resources/test/data.bin: has {SHA256_OF_A}, expected sha256:{'0' * 64};"
        f" move it away and run again, or get it from https://example.org/get and put it there (sha256:{'0' * 64});"
        " if its publisher has rebuilt it, go on with it by accept: changed in its dataset's section"
    )
    assert path.read_bytes() == b"a"


@pytest.mark.parametrize(
    ("file", "content", "known", "wrong"),
    [
        ("data.bin", b"a", {"size": 2}, "has 1 bytes, expected 2"),
        ("data.bin", b"", {}, "has 0 bytes, expected some"),
        ("data.zip", b"a", {"extract": True}, "is not a readable archive"),
        ("data.npz", b"a", {"size": 1}, "is not a readable archive"),
        ("data.tar", b"a", {"extract": True}, "is not a readable archive"),
        ("data.tgz", b"\x1f\x8b\x08\0\0\0\0\0\0\3", {"extract": True}, "is not a readable archive"),
    ],
)
def test_without_a_hash_size_and_kind_are_checked(remote, file, content, known, wrong):
    place(content, file)
    message = rf"^resources/test/{file}: {wrong}; move it away and run again, or get it "
    with pytest.raises(UserError, match=message) as error:
        obtain(remote(file=file, hash=None, **known), OFFLINE)
    assert ("accept" in str(error.value)) == ("size" in known)  # what was never described cannot have been rebuilt


def test_without_a_hash_a_real_archive_is_used(remote):
    place(zipped(), "data.zip")
    assert obtain(remote(file="data.zip", hash=None, extract=True), OFFLINE) == "here already"


def test_a_folder_in_its_place_is_no_file(remote):
    Path("resources/test/data.bin").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^resources/test/data\.bin: is not a file; move it away"):
        obtain(remote(), OFFLINE)


def test_offline_says_which_file_to_put_where(remote):
    for network in (OFFLINE, Network(offline=True, mirror="http://127.0.0.1:1/mirror")):
        with pytest.raises(UserError) as error:
            obtain(remote(size=300_000), network)
        assert str(error.value) == (
            "resources/test/data.bin: is not here, and nothing is downloaded offline;"
            f" get it from http://127.0.0.1:1/file and put it there ({remote().hash}, 300000 bytes)"
        )


@pytest.mark.parametrize(
    ("page", "source"), [("https://example.org/get", "from https://example.org/get"), (None, "yourself")]
)
def test_what_has_no_address_is_placed_by_hand(remote, page, source):
    why = rf"data\.bin: is not here, and it is published under no direct address; get it {source} and put it there"
    with pytest.raises(UserError, match=why):
        obtain(remote(urls=(), hash=None, page=page), Network())


@pytest.mark.parametrize(("home", "network"), [(".medmnist", Network()), (".cache/torch/hub/checkpoints", OFFLINE)])
def test_a_file_that_another_library_has_fetched_is_used(remote, tmp_path, monkeypatch, home, network):
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cached = place(b"a", folder=tmp_path / "home" / home)
    file = remote(hash=SHA256_OF_A)
    assert obtain(file, network) == str(cached)
    assert file.path.read_bytes() == cached.read_bytes() == b"a"


def test_a_cached_file_with_another_hash_is_left_alone(remote, tmp_path):
    cached = place(b"b", folder=tmp_path / "home/.medmnist")
    with pytest.raises(UserError, match=r"data\.bin"):
        obtain(remote(hash=SHA256_OF_A), OFFLINE)
    assert cached.read_bytes() == b"b"
    assert not list(Path("resources").rglob("*.bin*"))
