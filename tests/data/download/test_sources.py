"""Servers that say no, not now, or look elsewhere; mirrors, which replace every host; Kaggle's credentials."""

import base64
import email.utils
import json
import threading
import time
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import network as networks
from medbench.data.download import transfer
from medbench.data.download.network import Network
from medbench.data.fetch import obtain
from tests.helpers.web_server import BODY, File, Status

DATA = Path("resources/test/data.bin")
CLOSED = "http://127.0.0.1:1/closed"


def http_date(seconds_from_now: float) -> str:
    return email.utils.formatdate(time.time() + seconds_from_now, usegmt=True)


@pytest.fixture
def waited(monkeypatch):
    """The waits between attempts, which are not waited."""
    waits = []
    monkeypatch.setattr(transfer, "sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("code", "reason"),
    [(401, "401 Unauthorized"), (403, "403 Forbidden"), (404, "404 Not Found"), (410, "410 Gone"), (499, "499")],
)
def test_a_refusal_is_not_repeated_and_the_next_address_is_asked(server, remote, network, capsys, code, reason):
    server.plan("/first", Status(code))
    server.plan("/second", File())
    second = f"{server.url}/second"
    assert obtain(remote(urls=(f"{server.url}/first", second)), network) == second
    assert server.paths == ["/first", "/second"]
    assert f"/first: HTTP {reason}; trying the next address" in capsys.readouterr().err


def test_all_addresses_failed_is_one_line_with_each_reason(server, remote, network):
    server.plan("/first", Status(403))
    file = remote(urls=(f"{server.url}/first", CLOSED), page="https://example.org/get", size=300_000)
    with pytest.raises(UserError) as error:
        obtain(file, network)
    assert str(error.value) == (
        f"resources/test/data.bin: cannot be had from {server.url}/first (HTTP 403 Forbidden);"
        " http://127.0.0.1:1/closed (connection refused); get it from https://example.org/get and put it there"
        f" ({file.hash}, 300000 bytes); without a network set MEDBENCH_OFFLINE=1, or set MEDBENCH_MIRROR to a copy"
        " that can be reached"
    )


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again_after_growing_waits(server, remote, waited, code):
    server.plan("/file", Status(code), Status(code), File())
    obtain(remote(), Network(waits=(1, 2, 4)))
    assert waited == [1, 2]
    assert DATA.read_bytes() == BODY


def test_retry_after_is_heeded_up_to_five_minutes(server, remote, waited):
    headers = ["7", "100000", http_date(3600), "soon", "²", "Mon, 01 Jan 2001 00:00:00 GMT", "0", http_date(60)]
    server.plan("/file", *(Status(429, {"Retry-After": wait}) for wait in headers), File())
    obtain(remote(), Network(waits=(1,) * 8))
    assert waited[:-1] == [7, 300, 300, 1, 1, 1, 1]
    assert 30 < waited[-1] <= 60


def test_patience_ends(server, remote, network):
    server.plan("/file", Status(500))
    with pytest.raises(UserError, match="HTTP 500 Internal Server Error"):
        obtain(remote(), network)
    assert len(server.log) == 1 + len(network.waits)


def test_a_host_that_never_answered_is_given_up_sooner(remote, waited):
    with pytest.raises(UserError, match="MEDBENCH_OFFLINE=1"):
        obtain(remote(urls=(CLOSED,)), Network(waits=(1, 2, 4, 8, 16, 32)))
    assert waited == [1, 2, 4]


def test_a_host_that_has_sent_bytes_is_worth_all_the_patience(server, remote, waited):
    server.plan("/file", File(stop=200_000, reset=False), Status(302, {"Location": CLOSED}))
    with pytest.raises(UserError, match=r"\(connection refused\)"):
        obtain(remote(), Network(waits=(1, 2, 4, 8)))
    assert waited == [1, 2, 4, 8]


def test_a_silent_server_is_given_up(server, remote):
    given_up = threading.Event()
    server.plan("/file", lambda handler: given_up.wait(20))
    with pytest.raises(UserError, match=r"\(timed out\)"):
        obtain(remote(), Network(waits=(0,), timeout=(5, 0.2)))
    given_up.set()
    assert len(server.log) == 2


def test_a_redirect_is_followed_and_never_shown(server, remote, network):
    server.plan("/file", Status(302, {"Location": "/stored?signature=secret"}))
    server.plan("/stored", File())
    assert obtain(remote(), network) == f"{server.url}/file"
    assert DATA.read_bytes() == BODY
    DATA.unlink()
    server.plan("/stored", Status(403))
    with pytest.raises(UserError, match=r"/file \(HTTP 403 Forbidden\)") as error:
        obtain(remote(), network)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/file?secret", "redirects in a loop"),
        ("ftp://127.0.0.1/secret", "not a valid web address, or it redirects to one that is not"),
        ("http://[secret", "not a valid web address, or it redirects to one that is not"),
        ("http://127.0.0.1:1/secret", "connection refused"),
    ],
)
def test_a_redirect_to_nowhere_is_a_plain_reason(server, remote, network, location, reason, capsys):
    server.plan("/file", Status(302, {"Location": location}))
    with pytest.raises(UserError) as error:
        obtain(remote(), network)
    assert f"/file ({reason}); get it" in str(error.value)
    assert "secret" not in str(error.value) + capsys.readouterr().err


# A mirror -------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mirror" / "test").mkdir(parents=True)
    return tmp_path / "mirror"


@pytest.mark.parametrize("place", ["test/data.bin", "data.bin"])
@pytest.mark.parametrize("offline", [True, False])
def test_a_folder_is_copied_from(server, remote, folder, place, offline):
    (folder / place).write_bytes(BODY)
    assert obtain(remote(), Network(mirror=str(folder), offline=offline)) == str(folder / place)
    assert DATA.read_bytes() == BODY
    assert [path.name for path in DATA.parent.iterdir()] == ["data.bin"]
    assert not server.log


def test_a_folder_without_it_names_both_places(server, remote, folder):
    server.plan("/file", File())
    both = rf"{folder}/test/data.bin \(no such file\); {folder}/data.bin \(no such file\)"
    with pytest.raises(UserError, match=f"cannot be had from {both}; get it from "):
        obtain(remote(), Network(mirror=str(folder)))
    assert not server.log
    with pytest.raises(UserError, match=r"^MEDBENCH_MIRROR: no such folder: no/where \(expected a folder, or an addr"):
        obtain(remote(), Network(mirror="no/where"))


def test_a_wrong_copy_is_not_used(server, remote, folder):
    (folder / "test" / "data.bin").write_bytes(b"another")
    (folder / "data.bin").write_bytes(BODY)
    assert obtain(remote(), Network(mirror=str(folder))) == f"{folder}/data.bin"
    (folder / "data.bin").unlink()
    DATA.unlink()
    wrong = r"what it sent has sha256:\w+, expected sha256:\w+; kept as resources/test/data"
    with pytest.raises(UserError, match=wrong):
        obtain(remote(), Network(mirror=str(folder)))
    assert not DATA.exists()
    assert (folder / "test" / "data.bin").read_bytes() == b"another"


def test_a_part_of_the_web_is_not_mixed_with_a_copy(server, remote, folder, network):
    server.plan("/file", File(stop=100_000, reset=False), Status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), network)
    assert Path(f"{DATA}.part").stat().st_size
    (folder / "data.bin").write_bytes(BODY)
    obtain(remote(), Network(mirror=str(folder)))
    assert DATA.read_bytes() == BODY


@pytest.mark.parametrize("place", ["/m/test/data.bin", "/m/data.bin"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_address_is_asked_and_no_other(server, remote, network, place, slash):
    server.plan(place, File())
    mirror = Network(mirror=f"{server.url}/m{slash}", waits=network.waits)
    assert obtain(remote(urls=(CLOSED,)), mirror) == server.url + place
    assert server.paths == ["/m/test/data.bin", "/m/data.bin"][: server.paths.index(place) + 1]
    assert DATA.read_bytes() == BODY


def test_an_address_without_it_names_both_places_and_no_password(server, remote, network, capsys):
    mirror = Network(mirror=server.url.replace("http://", "http://me:secret@"), waits=network.waits)
    with pytest.raises(UserError) as error:
        obtain(remote(), mirror)
    both = f"{server.url}/test/data.bin (HTTP 404 Not Found); {server.url}/data.bin (HTTP 404 Not Found)"
    assert f"cannot be had from {both}; get it from " in str(error.value)
    assert server.asked("Authorization") == ["Basic bWU6c2VjcmV0"] * 2
    assert "secret" not in capsys.readouterr().err
    server.plan("/data.bin", File(stop=100_000, reset=False), Status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), mirror)
    assert "secret" not in Path(f"{DATA}.part.json").read_text()
    server.plan("/data.bin", File())
    assert obtain(remote(), mirror) == f"{server.url}/data.bin"
    assert server.asked("Range")[-1] is not None


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("false", False), ("", False)]
)
def test_the_environment_says_how(monkeypatch, value, offline):
    monkeypatch.setenv("MEDBENCH_OFFLINE", value)
    monkeypatch.setenv("MEDBENCH_MIRROR", "/data/mirror")
    assert Network.from_environment() == Network(offline=offline, mirror="/data/mirror")
    assert Network.from_environment(offline=True).offline


def test_an_empty_environment_is_the_open_net_and_an_unclear_one_refused(monkeypatch):
    monkeypatch.setenv("MEDBENCH_MIRROR", "")
    assert Network.from_environment() == Network()
    monkeypatch.setenv("MEDBENCH_OFFLINE", "maybe")
    with pytest.raises(UserError, match=r"^MEDBENCH_OFFLINE: 'maybe' is not understood \(expected 1 or 0\)$"):
        Network.from_environment()


# Kaggle's credentials go to Kaggle alone, and into no message ----------------------------------------------------

SIGNED = "Basic " + base64.b64encode("me:schlüssel".encode()).decode()


@pytest.fixture
def kaggle(server, monkeypatch):
    """The server in Kaggle's place."""
    monkeypatch.setattr(networks, "KAGGLE", f"{server.url}/")


@pytest.fixture
def credentials(monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "schlüssel")


@pytest.fixture(params=["home", "folder"])
def kaggle_json(request, kaggle, tmp_path, monkeypatch):
    """Where Kaggle's own client looks for its file."""
    folder = tmp_path / "home" / ".kaggle" if request.param == "home" else tmp_path / "elsewhere"
    if request.param == "folder":
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(folder))
    folder.mkdir(parents=True)
    return folder / "kaggle.json"


def test_the_real_host_is_asked_in_secret_only(credentials):
    hosts = {
        "https://www.kaggle.com/api/v1/datasets/download/a/b": True,
        "http://www.kaggle.com/a": False,
        "https://www.kaggle.com.example.org/a": False,
        "https://example.org/www.kaggle.com/": False,
    }
    assert {url: networks.kaggle_auth(url) is not None for url in hosts} == hosts


def test_they_are_sent_to_kaggle_and_to_no_other_host(server, remote, network, kaggle, credentials):
    server.plan("/file", File())
    obtain(remote(), network)
    DATA.unlink()
    obtain(remote(urls=(f"{server.url.replace('127.0.0.1', 'localhost')}/file",)), network)
    assert server.asked("Authorization") == [SIGNED, None]


def test_they_are_read_from_the_file(server, remote, network, kaggle_json):
    kaggle_json.write_text(json.dumps({"username": "me", "key": "schlüssel"}))
    server.plan("/file", File())
    obtain(remote(), network)
    assert server.asked("Authorization") == [SIGNED]


def test_without_any_none_are_sent(server, remote, network, kaggle, capsys):
    server.plan("/file", File())
    obtain(remote(), network)
    assert server.asked("Authorization") == [None]
    assert "Kaggle" not in capsys.readouterr().err


def test_a_redirect_to_a_storage_host_does_not_carry_them(server, remote, network, kaggle, credentials):
    storage = server.url.replace("127.0.0.1", "localhost")
    server.plan("/file", Status(302, {"Location": f"{storage}/stored"}))
    server.plan("/stored", File())
    obtain(remote(), network)
    assert list(zip(server.paths, server.asked("Authorization"), strict=True)) == [("/file", SIGNED), ("/stored", None)]


def test_they_are_in_no_message_and_not_on_the_disk(server, remote, network, kaggle, credentials, capsys):
    server.plan("/file", Status(500), File(stop=100_000, reset=False), Status(403))
    with pytest.raises(UserError, match="HTTP 403 Forbidden") as error:
        obtain(remote(), network)
    text = str(error.value) + capsys.readouterr().err + Path(f"{DATA}.part.json").read_text(encoding="utf-8")
    for secret in ("schl", SIGNED.removeprefix("Basic ")):
        assert secret not in text


@pytest.mark.parametrize(
    "content", ['{"username": "me", "key": "schl', '{"username": "me"}', '["schl"]', '{"username": 1, "key": "schl"}']
)
def test_an_unreadable_file_is_passed_over_with_one_line(server, remote, network, kaggle_json, capsys, content):
    kaggle_json.write_text(content)
    server.plan("/file", Status(500), File())
    obtain(remote(), network)
    assert server.asked("Authorization") == [None, None]
    text = capsys.readouterr().err
    assert text.count(f"{kaggle_json}: is not readable as Kaggle's credentials") == 1
    assert "schl" not in text
