"""Processes that are killed, and two at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from medbench.data.download import obtain
from medbench.data.download.request import CHUNK

DATA = Path("resources/test/data.bin")
PART = Path(f"{DATA}.part")
SCRIPT = """
import sys
from medbench.data.download import Network, obtain
from medbench.data.published import Remote
print(obtain(Remote.model_validate_json(sys.argv[1]), Network(waits=())))
"""


@pytest.fixture
def job():
    """A function that starts `obtain` in a process of its own."""
    running = []

    def start(remote):
        command = [sys.executable, "-c", SCRIPT, remote.model_dump_json()]
        running.append(subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def part_size():
    return PART.stat().st_size if PART.is_file() else 0


def test_a_killed_job_is_gone_on_with(server, remote, network, job):
    killed = []
    slow = server.file(stop=2 * CHUNK + 100, when=lambda: bool(killed))
    server.plan("/file", slow, server.file())
    process = job(remote())
    server.until(lambda: part_size() == 2 * CHUNK)
    process.kill()
    process.wait()
    killed.append(process)
    left = {path.name for path in DATA.parent.iterdir()}
    assert left == {"data.bin.lock", "data.bin.part", "data.bin.part.json"}
    obtain(remote(), network)
    assert server.asked("Range") == [None, f"bytes={2 * CHUNK}-"]
    assert DATA.read_bytes() == server.body


def test_a_job_killed_before_the_end_was_proved_asks_for_nothing(server, remote, network):
    server.plan("/file", server.file(stop=2 * CHUNK, reset=False), server.status(404))
    with pytest.raises(Exception, match="404"):
        obtain(remote(), network)
    PART.write_bytes(server.body)
    server.log.clear()
    obtain(remote(), network)
    assert not server.log
    assert DATA.read_bytes() == server.body


def test_two_jobs_fetch_one_file_once(server, remote, job):
    said = []

    def held(handler):
        server.until(lambda: bool(said))
        server.file()(handler)

    server.plan("/file", held)
    first = job(remote())
    server.until(lambda: bool(server.log))
    second = job(remote())
    said.append(second.stderr.readline())
    assert first.communicate()[0] == f"{server.url}/file\n"
    assert second.communicate()[0] == "here already\n"
    assert said == ["medbench: resources/test/data.bin: another job is fetching it; waiting\n"]
    assert server.paths == ["/file"]
    assert DATA.read_bytes() == server.body
