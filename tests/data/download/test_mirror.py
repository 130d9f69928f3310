"""A mirror replaces every host."""

from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import Network, obtain

DATA = Path("resources/test/data.bin")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mirror" / "test").mkdir(parents=True)
    return tmp_path / "mirror"


@pytest.mark.parametrize("place", ["test/data.bin", "data.bin"])
@pytest.mark.parametrize("offline", [True, False])
def test_a_folder_is_copied_from(server, remote, folder, place, offline):
    (folder / place).write_bytes(server.body)
    assert obtain(remote(), Network(mirror=str(folder), offline=offline)) == str(folder / place)
    assert DATA.read_bytes() == server.body
    assert sorted(path.name for path in DATA.parent.iterdir()) == ["data.bin", "data.bin.lock"]
    assert not server.log


def test_a_folder_without_it_names_both_places(server, remote, folder):
    server.plan("/file", server.file())
    with pytest.raises(UserError) as error:
        obtain(remote(), Network(mirror=str(folder)))
    both = f"{folder}/test/data.bin (no such file); {folder}/data.bin (no such file)"
    assert f"cannot be had from {both}; get it from " in str(error.value)
    assert not server.log


def test_a_wrong_copy_is_not_used(server, remote, folder):
    (folder / "test" / "data.bin").write_bytes(b"another")
    (folder / "data.bin").write_bytes(server.body)
    assert obtain(remote(), Network(mirror=str(folder))) == f"{folder}/data.bin"
    (folder / "data.bin").unlink()
    DATA.unlink()
    with pytest.raises(
        UserError, match=r"what it sent has sha256:\w+, expected sha256:\w+; kept as resources/test/data"
    ):
        obtain(remote(), Network(mirror=str(folder)))
    assert not DATA.exists()
    assert (folder / "test" / "data.bin").read_bytes() == b"another"


def test_a_part_of_the_web_is_not_mixed_with_a_copy(server, remote, folder, network):
    server.plan("/file", server.file(stop=100_000, reset=False), server.status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), network)
    assert Path(f"{DATA}.part").stat().st_size
    (folder / "data.bin").write_bytes(server.body)
    obtain(remote(), Network(mirror=str(folder)))
    assert DATA.read_bytes() == server.body


def test_a_folder_that_is_none_is_named(remote):
    with pytest.raises(UserError, match=r"^MEDBENCH_MIRROR: no such folder: no/where \(expected a folder, or an addr"):
        obtain(remote(), Network(mirror="no/where"))


@pytest.mark.parametrize("place", ["/m/test/data.bin", "/m/data.bin"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_address_is_asked_and_no_other(server, remote, network, place, slash):
    server.plan(place, server.file())
    mirrored = Network(mirror=f"{server.url}/m{slash}", waits=network.waits)
    assert obtain(remote(urls=("http://127.0.0.1:1/elsewhere",)), mirrored) == server.url + place
    assert server.paths == ["/m/test/data.bin", "/m/data.bin"][: server.paths.index(place) + 1]
    assert DATA.read_bytes() == server.body


def test_an_address_without_it_names_both_places_and_no_password(server, remote, network, capsys):
    mirror = server.url.replace("http://", "http://me:secret@")
    with pytest.raises(UserError) as error:
        obtain(remote(), Network(mirror=mirror, waits=network.waits))
    both = f"{server.url}/test/data.bin (HTTP 404 Not Found); {server.url}/data.bin (HTTP 404 Not Found)"
    assert f"cannot be had from {both}; get it from " in str(error.value)
    assert server.asked("Authorization") == ["Basic bWU6c2VjcmV0"] * 2
    assert "secret" not in capsys.readouterr().err


def test_a_password_is_not_written_down(server, remote, network):
    mirror = server.url.replace("http://", "http://me:secret@")
    server.plan("/data.bin", server.file(stop=100_000, reset=False), server.status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), Network(mirror=mirror, waits=network.waits))
    assert "secret" not in Path(f"{DATA}.part.json").read_text()
    server.plan("/data.bin", server.file())
    assert obtain(remote(), Network(mirror=mirror)) == f"{server.url}/data.bin"
    assert server.asked("Range")[-1] is not None


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("false", False), ("", False)]
)
def test_the_environment_says_how(monkeypatch, value, offline):
    monkeypatch.setenv("MEDBENCH_OFFLINE", value)
    monkeypatch.setenv("MEDBENCH_MIRROR", "/data/mirror")
    assert Network.from_environment() == Network(offline=offline, mirror="/data/mirror")
    assert Network.from_environment(offline=True).offline


def test_an_empty_environment_is_the_open_net(monkeypatch):
    monkeypatch.setenv("MEDBENCH_MIRROR", "")
    assert Network.from_environment() == Network()


def test_an_unclear_environment_is_refused(monkeypatch):
    monkeypatch.setenv("MEDBENCH_OFFLINE", "maybe")
    with pytest.raises(UserError, match=r"^MEDBENCH_OFFLINE: 'maybe' is not understood \(expected 1 or 0\)$"):
        Network.from_environment()
