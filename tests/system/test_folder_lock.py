import errno
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys

import pytest

from medbench.core.errors import UserError
from medbench.system import folder_lock
from medbench.system.folder_lock import held, hold, in_turn
from tests.helpers.files import read_only

RUN = """
import sys
from pathlib import Path
from medbench.system.folder_lock import hold
hold(Path(sys.argv[1]))
child = None
if len(sys.argv) > 2:
    import subprocess
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
print(child.pid if child else "held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    monkeypatch.setattr(folder_lock, "_HELD", {})


@pytest.fixture
def run():
    """Starts processes that hold a folder until the test ends."""
    started = []

    def start(*arguments: object, script: str = RUN) -> subprocess.Popen:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen(command, **pipes, text=True))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def test_a_second_run_is_refused_in_one_line_that_says_what_to_do(tmp_path, run):
    folder = tmp_path / "results" / "demo"
    first = run(folder)
    assert first.stdout.readline() == "held\n"
    with pytest.raises(UserError) as error:
        hold(folder)
    assert str(error.value) == (
        f"{folder}: process {first.pid} on {platform.node()} is working in this folder;"
        f" stop it there, which saves its work: kill {first.pid}; or wait until it ends"
    )
    hold(tmp_path / "results" / "another")


def test_a_killed_run_leaves_nothing_to_unlock_though_what_it_started_lives_on(tmp_path, run):
    first = run(tmp_path, "with a child")
    child = int(first.stdout.readline())
    try:
        first.kill()
        first.wait()
        hold(tmp_path)
        os.kill(child, 0)  # it still lives
    finally:
        os.kill(child, signal.SIGKILL)


def test_the_same_process_may_ask_twice_under_any_name(tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / ".lock").write_text("123456789123456789 a-machine-of-a-long-name\n" * 3)
    hold(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    hold(tmp_path / "demo" / ".." / "demo")
    hold(type(tmp_path)("demo"))
    assert (tmp_path / "demo" / ".lock").read_text() == f"{os.getpid()} {platform.node()}\n"


def test_a_holder_that_has_not_said_who_it_is_is_refused_all_the_same(tmp_path, run):
    run(tmp_path).stdout.readline()
    (tmp_path / ".lock").write_bytes(b"")
    with pytest.raises(UserError, match=r": another process is working in this folder; wait until it ends$"):
        hold(tmp_path)


def test_one_who_only_asks_at_this_moment_keeps_nobody_out(tmp_path, monkeypatch):
    with open(tmp_path / ".lock", "w") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        monkeypatch.setattr(folder_lock.time, "sleep", lambda seconds: asking.close())
        hold(tmp_path)
        assert asking.closed


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "demo").write_text("")
    with pytest.raises(UserError, match=r"demo: cannot be written: File exists"):
        hold(tmp_path / "demo")
    denied = r": cannot be written: Permission denied \(choose a writable folder\)$"
    with read_only(tmp_path), pytest.raises(UserError, match=denied):
        hold(tmp_path)


def test_a_file_system_without_locks_is_said_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    def flock(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(folder_lock.fcntl, "flock", flock)
    hold(tmp_path)
    with in_turn(tmp_path / "file"):
        pass
    note = f"note: {tmp_path}: this file system knows no locks; start no second run in it\n"
    assert capsys.readouterr().err == 2 * note


def test_a_held_folder_is_removed_where_nothing_was_put_into_it(tmp_path):
    with pytest.raises(UserError, match="a mistake"), held(tmp_path / "checkpoints"):
        raise UserError("a mistake")
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path):
        (tmp_path / "step1.pt").write_bytes(b"")
    assert [path.name for path in tmp_path.iterdir()] == ["step1.pt"]


def test_a_held_folder_may_be_removed_by_the_work_itself(tmp_path):
    with held(tmp_path / "checkpoints"):
        shutil.rmtree(tmp_path / "checkpoints")
    with held(tmp_path / "checkpoints"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_held_folder_is_free_again_after_the_block(tmp_path, run):
    with held(tmp_path / "demo"):
        assert run(tmp_path / "demo").stdout.readline() == ""  # it was refused
    assert run(tmp_path / "demo").stdout.readline() == "held\n"


def test_the_lock_of_the_next_one_is_not_removed(tmp_path, run):
    """Its folder was removed and made again by another process before the first is at its end."""
    with held(tmp_path / "demo"):
        shutil.rmtree(tmp_path / "demo")
        next_one = run(tmp_path / "demo")
        next_one.stdout.readline()
    assert (tmp_path / "demo" / ".lock").read_text().split()[0] == str(next_one.pid)


TURN = """
import sys
from pathlib import Path
from medbench.system.folder_lock import in_turn
with in_turn(Path(sys.argv[1])):
    print("its turn", flush=True)
    sys.stdin.read()
"""


def test_a_file_is_made_by_one_process_at_a_time_until_that_is_killed(tmp_path, run):
    path = tmp_path / "new" / "file"
    first = run(path, script=TURN)
    assert first.stdout.readline() == "its turn\n"
    second = run(path, script=TURN)
    who = f"process {first.pid} on {platform.node()}"
    assert second.stderr.readline() == f"medbench: {path}: {who} is working on it; waiting\n"
    first.kill()
    assert second.stdout.readline() == "its turn\n"
    assert second.communicate()[1] == ""
    assert list(tmp_path.iterdir()) == []


def test_a_process_whose_turn_it_is_may_ask_again(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    with in_turn(tmp_path / "file"):
        with in_turn(type(tmp_path)("file")):
            pass
        waiting = run(tmp_path / "file", script=TURN)
        assert "waiting" in waiting.stderr.readline()
    assert waiting.stdout.readline() == "its turn\n"
    with held(tmp_path), held(tmp_path):
        pass
    assert run(tmp_path).stdout.readline() == "held\n"
