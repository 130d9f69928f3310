"""Servers that say no, not now, or look elsewhere."""

import email.utils
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import Network, obtain, sources

DATA = Path("resources/test/data.bin")
CLOSED = "http://127.0.0.1:1/closed"


@pytest.fixture
def waited(monkeypatch):
    """The waits between attempts, which are not waited."""
    waits = []
    monkeypatch.setattr(sources, "sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("code", "reason"),
    [(401, "401 Unauthorized"), (403, "403 Forbidden"), (404, "404 Not Found"), (410, "410 Gone"), (499, "499")],
)
def test_a_refusal_is_not_repeated_and_the_next_address_is_asked(server, remote, network, capsys, code, reason):
    server.plan("/first", server.status(code))
    server.plan("/second", server.file())
    second = f"{server.url}/second"
    assert obtain(remote(urls=(f"{server.url}/first", second)), network) == second
    assert server.paths == ["/first", "/second"]
    assert f"/first: HTTP {reason}; trying the next address" in capsys.readouterr().err


def test_all_addresses_failed_is_one_line_with_each_reason(server, remote, network):
    server.plan("/first", server.status(403))
    asked = remote(
        urls=(f"{server.url}/first", "http://127.0.0.1:1/closed"), page="https://example.org/get", size=300_000
    )
    with pytest.raises(UserError) as error:
        obtain(asked, network)
    assert str(error.value) == (
        f"resources/test/data.bin: cannot be had from {server.url}/first (HTTP 403 Forbidden);"
        " http://127.0.0.1:1/closed (connection refused); get it from https://example.org/get and put it there"
        f" ({asked.hash}, 300000 bytes); without a network set MEDBENCH_OFFLINE=1, or set MEDBENCH_MIRROR to a copy"
        " that can be reached"
    )


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again_after_growing_waits(server, remote, waited, code):
    server.plan("/file", server.status(code), server.status(code), server.file())
    obtain(remote(), Network(waits=(1, 2, 4)))
    assert waited == [1, 2]
    assert DATA.read_bytes() == server.body


def test_retry_after_is_heeded_up_to_five_minutes(server, remote, waited, in_an_hour):
    asked_for = ["7", "100000", in_an_hour, "soon", "²", "Mon, 01 Jan 2001 00:00:00 GMT", "0"]
    server.plan("/file", *(server.status(429, {"Retry-After": wait}) for wait in asked_for), server.file())
    obtain(remote(), Network(waits=(1,) * 7))
    assert waited == [7, 300, 300, 1, 1, 1, 1]


def test_retry_after_as_a_date_is_from_now(server, remote, waited):
    date = email.utils.formatdate(datetime.now(UTC).timestamp() + 60, usegmt=True)
    server.plan("/file", server.status(503, {"Retry-After": date}), server.file())
    obtain(remote(), Network(waits=(1,)))
    assert 30 < waited[0] <= 60


def test_patience_ends(server, remote, network):
    server.plan("/file", server.status(500))
    with pytest.raises(UserError, match="HTTP 500 Internal Server Error"):
        obtain(remote(), network)
    assert len(server.log) == 1 + len(network.waits)


def test_a_host_that_never_answered_is_given_up_sooner(remote, waited):
    with pytest.raises(UserError, match="MEDBENCH_OFFLINE=1"):
        obtain(remote(urls=("http://127.0.0.1:1/closed",)), Network(waits=(1, 2, 4, 8, 16, 32)))
    assert waited == [1, 2, 4]


def test_a_host_that_has_sent_bytes_is_worth_all_the_patience(server, remote, waited):
    server.plan("/file", server.file(stop=200_000, reset=False), server.status(302, {"Location": CLOSED}))
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
    server.plan("/file", server.status(302, {"Location": "/stored?signature=secret"}))
    server.plan("/stored", server.file())
    assert obtain(remote(), network) == f"{server.url}/file"
    assert DATA.read_bytes() == server.body
    DATA.unlink()
    server.plan("/stored", server.status(403))
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
    server.plan("/file", server.status(302, {"Location": location}))
    with pytest.raises(UserError) as error:
        obtain(remote(), network)
    assert f"/file ({reason}); get it" in str(error.value)
    assert "secret" not in str(error.value) + capsys.readouterr().err
