"""A transfer that breaks and how it goes on, bodies that are not the file, jobs that are killed, two jobs at once."""

import gzip
import hashlib
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download.network import Network
from medbench.data.download.transfer import CHUNK
from medbench.data.fetch import obtain
from tests.helpers.web_server import BODY, File, Status, until

DATA = Path("resources/test/data.bin")
PART, NOTES = Path(f"{DATA}.part"), Path(f"{DATA}.part.json")
REST = f"bytes={2 * CHUNK}-"
DATED = {"etag": 'W/"weak"', "modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
SPANS = "bytes 0-299999/300000", "bytes 131073-299999/300000", "items 131072-1/2", ""
# The answer that breaks off after two chunks, those that follow, and the ranges that these were asked for.
BROKEN_OFF = {
    "the rest": ({}, [File()], [REST]),
    "no tag": ({"etag": None}, [File(etag=None)], [None]),
    "a weak tag": ({"etag": 'W/"weak"'}, [File(etag='W/"weak"')], [None]),
    "a weak tag and a date": (DATED, [File(**DATED)], [REST]),
    "a server without Range": ({}, [File(ranges=False)], [REST]),
    "a changed file": ({"body": BODY[::-1]}, [File(etag='"two"')], [REST]),
    "a changed file without If-Range": ({"body": BODY[::-1]}, [File(etag='"two"', if_range=False)], [REST, None]),
    "another length under one tag": ({"body": BODY + b"more"}, [File()], [REST, None]),
    "a refused range": ({}, [Status(416), File()], [REST, None]),
    "a rest without a length": (
        {},
        [File(stop=4 * CHUNK, reset=False, length=False), File()],
        [REST, f"bytes={4 * CHUNK}-"],
    ),
} | {
    f"a piece {span}": ({}, [Status(206, {"Content-Range": span, "ETag": '"one"'}), File()], [REST, None])
    for span in SPANS
}


@pytest.mark.parametrize(("broken", "answers", "ranges"), BROKEN_OFF.values(), ids=BROKEN_OFF.keys())
def test_what_broke_off_is_gone_on_with_or_started_over(server, remote, network, part_has, broken, answers, ranges):
    server.plan("/file", File(stop=2 * CHUNK + 100, when=part_has(2 * CHUNK), **broken), *answers)
    obtain(remote(), network)
    assert server.asked("Range") == [None, *ranges]
    assert server.asked("If-Range")[1] == (broken.get("modified", '"one"') if ranges[0] else None)
    assert DATA.read_bytes() == BODY


def test_a_reset_is_one_line_and_a_later_run_resumes_what_is_here(server, remote, cut, capsys):
    server.plan("/file", cut, Status(503), File())
    with pytest.raises(UserError, match=r"cannot be had from http://127\.0\.0\.1:\d+/file \(HTTP 503 Service Unav"):
        obtain(remote(), Network(waits=(0,)))
    assert "/file: connection reset; trying again in 0 s\n" in capsys.readouterr().err
    assert PART.read_bytes() == BODY[: 2 * CHUNK]
    obtain(remote(), Network(waits=()))
    assert server.asked("Range") == [None, REST, REST]
    assert DATA.read_bytes() == BODY


def test_many_resets_are_survived_as_long_as_bytes_come(server, remote, part_has):
    breaks = [CHUNK * (i + 1) for i in range(4)]
    server.plan("/file", *(File(stop=at + 1, when=part_has(at)) for at in breaks), File())
    obtain(remote(), Network(waits=(0,)))  # four breaks and one retry: each new chunk starts the waits over
    assert server.asked("Range") == [None, *(f"bytes={at}-" for at in breaks)]
    assert DATA.read_bytes() == BODY


def test_another_address_does_not_go_on_from_the_first(server, remote, network, cut):
    server.plan("/file", cut, Status(404))
    server.plan("/second", File())
    obtain(remote(urls=(f"{server.url}/file", f"{server.url}/second")), network)
    assert server.asked("Range") == [None, REST, None]
    assert DATA.read_bytes() == BODY


def test_damaged_notes_start_over(server, remote, network):
    PART.parent.mkdir(parents=True)
    PART.write_bytes(b"half")
    NOTES.write_text("{")
    server.plan("/file", File())
    obtain(remote(), network)
    assert server.asked("Range") == [None]
    assert DATA.read_bytes() == BODY


def test_a_short_body_is_resumed_and_one_that_stays_short_refused(server, remote, network):
    server.plan("/file", File(stop=100_000, reset=False), File())
    obtain(remote(), network)
    assert server.asked("Range")[1] == f"bytes={CHUNK}-"
    assert DATA.read_bytes() == BODY
    DATA.unlink()
    server.plan("/file", File(body=BODY[:100_000], headers={"Content-Length": "300000"}, ranges=False))
    with pytest.raises(UserError, match=r"\(the body was cut short\)"):
        obtain(remote(), network)
    assert not DATA.exists()


def test_a_server_that_falls_silent_is_resumed(server, remote):
    given_up = threading.Event()
    server.plan("/file", File(stop=2 * CHUNK + 100, when=lambda: given_up.wait(20)), File())
    obtain(remote(), Network(waits=(0, 0, 0), timeout=(5, 0.4)))
    given_up.set()
    assert server.asked("Range")[:2] == [None, REST]
    assert DATA.read_bytes() == BODY


def test_a_compressed_body_is_unpacked_and_never_gone_on_from(server, remote, network, part_has):
    packed = {"body": gzip.compress(BODY), "headers": {"Content-Encoding": "gzip"}}
    server.plan("/file", File(**packed, stop=250_000, when=part_has(2 * CHUNK)), File(**packed))
    obtain(remote(size=len(BODY)), network)
    assert server.asked("Range") == [None, None]
    assert DATA.read_bytes() == BODY


# What arrives is the file, or is not used -----------------------------------------------------------------------


@pytest.mark.parametrize("length", [True, False])
def test_a_file_arrives_whole_and_alone(server, remote, network, length):
    server.plan("/file", File(length=length))
    assert obtain(remote(), network) == f"{server.url}/file"
    assert DATA.read_bytes() == BODY
    assert sorted(path.name for path in DATA.parent.iterdir()) == ["data.bin"]
    assert server.asked("Accept-Encoding") == ["identity"]


@pytest.mark.parametrize(
    "answer",
    [
        {"body": b"sorry", "headers": {"Content-Type": "text/html; charset=utf-8"}},
        {"body": b"\xef\xbb\xbf\n <!DOCTYPE html><p>sorry"},
        {"body": b"<HTML>sorry"},
    ],
)
def test_a_page_instead_of_the_file_is_refused(server, remote, network, cut, answer):
    server.plan("/file", cut, File(**answer, ranges=False))
    with pytest.raises(UserError, match="sent an HTML page, not the file") as error:
        obtain(remote(), network)
    assert "\n" not in str(error.value)
    assert PART.read_bytes() == BODY[: 2 * CHUNK]  # the page did not cost what was here


def test_a_wrong_hash_is_kept_aside_and_not_used(server, remote, network):
    sha256 = hashlib.sha256(BODY[::-1]).hexdigest()
    server.plan("/file", File(body=BODY[::-1]))
    with pytest.raises(UserError) as error:
        obtain(remote(), network)
    kept = f"{DATA}.wrong-{sha256[:8]}"
    expected = f"what it sent has sha256:{sha256}, expected {remote().hash}; kept as {kept}, not used"
    assert f"{server.url}/file ({expected}); get it" in str(error.value)
    assert "if its publisher has rebuilt it, go on with it by accept: changed" in str(error.value)
    assert Path(kept).read_bytes() == BODY[::-1]
    assert sorted(path.name for path in DATA.parent.iterdir()) == [Path(kept).name]


def test_an_md5_is_checked_as_one(server, remote, network):
    md5 = hashlib.md5(BODY).hexdigest()
    server.plan("/file", File())
    obtain(remote(hash=f"md5:{md5}"), network)
    DATA.unlink()
    with pytest.raises(UserError, match=f"has md5:{md5}, expected md5:0000"):
        obtain(remote(hash=f"md5:{'0' * 32}"), network)


@pytest.mark.parametrize(("file", "extract"), [("data.zip", True), ("data.npz", False), ("data.tar.gz", True)])
def test_without_a_hash_an_archive_must_be_one(server, remote, network, file, extract):
    server.plan("/file", File())
    with pytest.raises(UserError, match=rf"is not a readable archive; kept as resources/test/{file}\.wrong-"):
        obtain(remote(file=file, hash=None, extract=extract), network)
    assert not Path("resources/test", file).exists()


def test_a_wrong_size_is_refused_before_the_body(server, remote, network):
    server.plan("/file", File())
    with pytest.raises(UserError, match=r"\(has 300000 bytes, expected 5\)"):
        obtain(remote(size=5), network)
    assert not PART.exists()


# Processes ------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from medbench.data.download.network import Network
from medbench.data.fetch import fetch
from medbench.data.published import Remote
print(fetch(Remote.model_validate_json(sys.argv[1]), False, Network(waits=())).address)
"""


@pytest.fixture
def job():
    """A function that starts `fetch` in a process of its own."""
    running = []

    def start(remote):
        command = [sys.executable, "-c", SCRIPT, remote.model_dump_json()]
        running.append(subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_killed_job_is_gone_on_with(server, remote, network, job, part_has):
    killed = []
    server.plan("/file", File(stop=2 * CHUNK + 100, when=lambda: bool(killed)), File())
    process = job(remote())
    until(part_has(2 * CHUNK))
    process.kill()
    process.wait()
    killed.append(process)
    left = {path.name for path in DATA.parent.iterdir()}
    assert left == {"data.bin.lock", "data.bin.part", "data.bin.part.json"}
    obtain(remote(), network)
    assert server.asked("Range") == [None, REST]
    assert DATA.read_bytes() == BODY


def test_a_job_killed_before_the_end_was_proved_asks_for_nothing(server, remote, network):
    server.plan("/file", File(stop=2 * CHUNK, reset=False), Status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), network)
    PART.write_bytes(BODY)
    server.log.clear()
    obtain(remote(), network)
    assert not server.log
    assert DATA.read_bytes() == BODY


def test_two_jobs_fetch_one_file_once(server, remote, job):
    lines = []

    def held(handler):
        until(lambda: bool(lines))
        File()(handler)

    server.plan("/file", held)
    first = job(remote())
    until(lambda: bool(server.log))
    second = job(remote())
    lines.append(second.stderr.readline())
    assert [process.communicate()[0] for process in (first, second)] == [f"{server.url}/file\n"] * 2
    who = f"process {first.pid} on {platform.node()}"
    assert lines == [f"medbench: resources/test/data.bin: {who} is working on it; waiting\n"]
    assert server.paths == ["/file"]
    assert DATA.read_bytes() == BODY
