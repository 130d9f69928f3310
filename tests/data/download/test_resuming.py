"""A transfer that breaks, and how it goes on."""

import gzip
import threading
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import Network, obtain
from medbench.data.download.request import CHUNK

DATA = Path("resources/test/data.bin")
PART, NOTES = Path(f"{DATA}.part"), Path(f"{DATA}.part.json")


def test_a_reset_is_resumed_where_it_broke(server, remote, network, cut):
    server.plan("/file", cut, server.file())
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-"]
    assert server.asked("If-Range") == [None, '"one"']
    assert DATA.read_bytes() == server.body


def test_a_reset_is_told_in_one_line_and_keeps_what_came(server, remote, cut, capsys):
    server.plan("/file", cut, server.status(503))
    with pytest.raises(UserError, match=r"cannot be had from http://127\.0\.0\.1:\d+/file \(HTTP 503 Service Unav"):
        obtain(remote(), Network(waits=(0,)))
    assert "/file: connection reset; trying again in 0 s\n" in capsys.readouterr().err
    assert PART.read_bytes() == server.body[: 2 * CHUNK]


def test_a_later_run_resumes_what_an_earlier_one_left(server, remote, cut):
    server.plan("/file", cut, server.file())
    with pytest.raises(UserError, match="connection reset"):
        obtain(remote(), Network(waits=()))
    obtain(remote(), Network(waits=()))
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-"]
    assert DATA.read_bytes() == server.body


def test_many_resets_are_survived_as_long_as_bytes_come(server, remote, part_has):
    breaks = [CHUNK * (i + 1) for i in range(4)]
    server.plan("/file", *(server.file(stop=at + 1, when=part_has(at)) for at in breaks), server.file())
    obtain(remote(), Network(waits=(0,)))  # four breaks and one retry: each new chunk starts the waits over
    assert server.asked("Range") == [None, *(f"bytes={at}-" for at in breaks)]
    assert DATA.read_bytes() == server.body


@pytest.mark.parametrize("validators", [{"etag": None}, {"etag": 'W/"weak"'}])
def test_bytes_of_no_certain_version_are_not_gone_on_from(server, remote, network, cut, validators):
    cut.etag = validators["etag"]
    server.plan("/file", cut, server.file(**validators))
    obtain(remote(), network)
    assert server.asked("Range") == [None, None]
    assert DATA.read_bytes() == server.body


def test_a_date_tells_the_version_where_there_is_no_strong_tag(server, remote, network, cut):
    cut.etag, cut.modified = 'W/"weak"', "Mon, 01 Jan 2024 00:00:00 GMT"
    server.plan("/file", cut, server.file(etag=cut.etag, modified=cut.modified))
    obtain(remote(), network)
    assert server.asked("If-Range") == [None, "Mon, 01 Jan 2024 00:00:00 GMT"]
    assert DATA.read_bytes() == server.body


def test_a_server_without_range_starts_over(server, remote, network, cut):
    server.plan("/file", cut, server.file(ranges=False))
    obtain(remote(), network)
    assert DATA.read_bytes() == server.body


@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_changed_starts_over(server, remote, network, cut, if_range):
    """With the 200 of a server that knows If-Range, and in spite of the 206 of one that does not."""
    cut.body = server.body[::-1]
    server.plan("/file", cut, server.file(etag='"two"', if_range=if_range))
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-"] + ([] if if_range else [None])
    assert DATA.read_bytes() == server.body


def test_another_length_under_the_same_tag_starts_over(server, remote, network, cut):
    cut.body = server.body + b"more"
    server.plan("/file", cut, server.file())
    obtain(remote(), network)
    assert DATA.read_bytes() == server.body


def test_a_refused_range_starts_over(server, remote, network, cut):
    server.plan("/file", cut, server.status(416), server.file())
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-", None]
    assert DATA.read_bytes() == server.body


@pytest.mark.parametrize("span", ["bytes 0-299999/300000", "bytes 131073-299999/300000", "items 131072-1/2", ""])
def test_a_piece_that_does_not_fit_starts_over(server, remote, network, cut, span):
    server.plan("/file", cut, server.status(206, {"Content-Range": span, "ETag": '"one"'}), server.file())
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-", None]
    assert DATA.read_bytes() == server.body


def test_a_rest_without_a_length_is_measured(server, remote, network, cut):
    short = server.file(stop=4 * CHUNK, reset=False, length=False)
    server.plan("/file", cut, short, server.file())
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-", f"bytes={4 * CHUNK}-"]
    assert DATA.read_bytes() == server.body


def test_another_address_does_not_go_on_from_the_first(server, remote, network, cut):
    server.plan("/file", cut, server.status(404))
    server.plan("/second", server.file())
    obtain(remote(urls=(f"{server.url}/file", f"{server.url}/second")), network)
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-", None]
    assert DATA.read_bytes() == server.body


def test_damaged_notes_start_over(server, remote, network):
    PART.parent.mkdir(parents=True)
    PART.write_bytes(b"half")
    NOTES.write_text("{")
    server.plan("/file", server.file())
    obtain(remote(), network)
    assert server.asked("Range") == [None]
    assert DATA.read_bytes() == server.body


def test_a_body_that_stays_short_is_refused(server, remote, network):
    server.plan("/file", server.file(body=server.body[:100_000], headers={"Content-Length": "300000"}, ranges=False))
    with pytest.raises(UserError, match=r"\(the body was cut short\)"):
        obtain(remote(), network)
    assert not DATA.exists()


def test_a_short_body_is_resumed(server, remote, network):
    server.plan("/file", server.file(stop=100_000, reset=False), server.file())
    obtain(remote(), network)
    assert server.asked("Range")[1] == f"bytes={CHUNK}-"
    assert DATA.read_bytes() == server.body


def test_a_server_that_falls_silent_is_resumed(server, remote):
    given_up = threading.Event()
    server.plan("/file", server.file(stop=2 * CHUNK + 100, when=lambda: given_up.wait(20)), server.file())
    obtain(remote(), Network(waits=(0, 0, 0), timeout=(5, 0.4)))
    given_up.set()
    assert server.asked("Range")[:2] == [None, f"bytes={2 * CHUNK}-"]
    assert DATA.read_bytes() == server.body


def test_a_compressed_body_is_never_gone_on_from(server, remote, network, part_has):
    packed = {"body": gzip.compress(server.body), "headers": {"Content-Encoding": "gzip"}}
    server.plan("/file", server.file(**packed, stop=250_000, when=part_has(2 * CHUNK)), server.file(**packed))
    obtain(remote(), network)
    assert server.asked("Range") == [None, None]
    assert DATA.read_bytes() == server.body
