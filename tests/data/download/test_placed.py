"""A file that is there already, and what is said where it must be brought by hand."""

import io
import socket
import zipfile
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import Network, obtain

OFFLINE = Network(offline=True)


@pytest.fixture(autouse=True)
def no_socket(monkeypatch):
    """None of this needs one."""

    def refuse(*arguments, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def server():
    """Not running."""

    class Closed:
        url = "http://127.0.0.1:1"

    return Closed


@pytest.fixture
def place():
    def put(content, file="data.bin"):
        path = Path("resources/test", file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return put


def zipped():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "a")
    return archive.getvalue()


SHA256_OF_A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


@pytest.mark.parametrize("network", [Network(), OFFLINE])
def test_the_right_file_is_used(remote, place, network):
    place(b"a")
    assert obtain(remote(hash=f"sha256:{SHA256_OF_A}", size=1), network) == "here already"
    assert [path.name for path in Path("resources/test").iterdir()] == ["data.bin"]  # a folder may be read only


def test_a_wrong_file_is_named_and_left_alone(remote, place):
    path = place(b"a")
    with pytest.raises(UserError) as error:
        obtain(remote(hash=f"sha256:{'0' * 64}", page="https://example.org/get"), Network())
    assert str(error.value) == (
        f"resources/test/data.bin: has sha256:{SHA256_OF_A}, expected sha256:{'0' * 64};"
        f" move it away and run again, or get it from https://example.org/get and put it there (sha256:{'0' * 64});"
        " if its publisher has rebuilt it, go on with it by accept: changed in its dataset's section"
    )
    assert path.read_bytes() == b"a"


@pytest.mark.parametrize(
    ("file", "content", "known", "wrong"),
    [
        ("data.bin", b"a", {"size": 2}, "has 1 bytes, expected 2"),
        ("data.bin", b"", {}, "has 0 bytes, expected some"),
        ("data.zip", b"a", {}, "is not a readable zip archive"),
        ("data.npz", b"a", {"size": 1}, "is not a readable zip archive"),
        ("data.tar", b"a", {}, "is not a readable tar archive"),
        ("data.tgz", b"\x1f\x8b\x08\0\0\0\0\0\0\3", {}, "is not a readable tar archive"),
    ],
)
def test_without_a_hash_size_and_kind_are_checked(remote, place, file, content, known, wrong):
    place(content, file)
    with pytest.raises(UserError, match=rf"^resources/test/{file}: {wrong}; move it away and run again, or get it "):
        obtain(remote(file=file, hash=None, **known), OFFLINE)


def test_what_was_never_described_cannot_have_been_rebuilt(remote, place):
    place(b"a", "data.zip")
    with pytest.raises(UserError) as error:
        obtain(remote(file="data.zip", hash=None), OFFLINE)
    assert "accept" not in str(error.value)


def test_without_a_hash_a_real_archive_is_used(remote, place):
    place(zipped(), "data.zip")
    assert obtain(remote(file="data.zip", hash=None), OFFLINE) == "here already"


def test_a_folder_in_its_place_is_no_file(remote):
    Path("resources/test/data.bin").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^resources/test/data\.bin: is not a file; move it away"):
        obtain(remote(), OFFLINE)


def test_offline_says_which_file_to_put_where(remote):
    with pytest.raises(UserError) as error:
        obtain(remote(size=300_000), OFFLINE)
    assert str(error.value) == (
        "resources/test/data.bin: is not here, and nothing is downloaded offline;"
        f" get it from http://127.0.0.1:1/file and put it there ({remote().hash}, 300000 bytes)"
    )


def test_offline_a_mirror_on_the_web_is_not_asked(remote):
    with pytest.raises(UserError, match="nothing is downloaded offline"):
        obtain(remote(), Network(offline=True, mirror="http://127.0.0.1:1/mirror"))


@pytest.mark.parametrize(
    ("page", "tail"),
    [
        ("https://example.org/get", "get it from https://example.org/get and put it there"),
        (None, "get it yourself and put"),
    ],
)
def test_what_has_no_address_is_placed_by_hand(remote, page, tail):
    with pytest.raises(
        UserError, match=r"data\.bin: is not here, and it is published under no direct address; " + tail
    ):
        obtain(remote(urls=(), hash=None, page=page), Network())


@pytest.mark.parametrize(("home", "network"), [(".medmnist", Network()), (".cache/torch/hub/checkpoints", OFFLINE)])
def test_a_file_that_another_library_has_fetched_is_used(remote, tmp_path, monkeypatch, home, network):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cached = tmp_path / "home" / home / "data.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"a")
    asked = remote(hash=f"sha256:{SHA256_OF_A}")
    assert obtain(asked, network) == str(cached)
    assert asked.path.read_bytes() == cached.read_bytes() == b"a"


def test_a_cached_file_with_another_hash_is_left_alone(remote, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cached = tmp_path / "home/.medmnist/data.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"b")
    with pytest.raises(UserError, match=r"data\.bin"):
        obtain(remote(hash=f"sha256:{SHA256_OF_A}"), OFFLINE)
    assert cached.read_bytes() == b"b"
    assert not list(Path("resources").rglob("*.bin*"))
