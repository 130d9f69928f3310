"""The processes of one training end together, and the one that failed says why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from medbench.core.errors import UserError
from medbench.system import launcher
from medbench.system.launcher import LAUNCHER, ON_CPU, RENDEZVOUS, end_with_launcher, launch, processes_for

# Each process notes its id in a folder, and then does what its rank is told.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
rank, folder = int(os.environ["RANK"]), Path({folder!r})
(folder / f"pid{{rank}}").write_text(str(os.getpid()))
{body}
"""
READY = "(folder / f'ready{rank}').write_text('')"
WAIT = "time.sleep(60)"
LAUNCH = """
import sys
from medbench.core.errors import Interrupted
from medbench.system.launcher import launch
try:
    launch(2, sys.argv[1:])
except Interrupted as stop:
    sys.exit(128 + stop.signal_number)
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel tells of the end of a parent")


def script(folder: Path, first: str, second: str) -> list[str]:
    body = "\n".join(f"if rank == {rank}:\n    {action}" for rank, action in enumerate((first, second)))
    return ["-c", SCRIPT.format(folder=str(folder), body=body)]


def launching(folder: Path, first: str, second: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", LAUNCH, *script(folder, first, second)])


def wait_for(folder: Path, *names: str) -> None:
    until = time.monotonic() + 60
    while not all((folder / name).exists() for name in names):
        assert time.monotonic() < until, f"no {names}"
        time.sleep(0.02)


def all_gone(folder: Path) -> bool:
    """Whether no process of the script lives, within a moment: what was killed may still have to be waited for."""
    pids = [int(path.read_text() or 0) for path in folder.glob("pid*")]
    lives = [psutil.Process(pid) for pid in pids if pid and psutil.pid_exists(pid)]
    return not [process for process in psutil.wait_procs(lives, 5)[1] if process.status() != psutil.STATUS_ZOMBIE]


def test_each_is_told_who_it_is_and_the_first_speaks(tmp_path, capfd):
    names = '"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"'
    tell = f"print(*(os.environ[name] for name in ({names})))"
    with pytest.raises(SystemExit) as end:
        launch(2, script(tmp_path, tell, tell))
    assert end.value.code == 0
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    assert capfd.readouterr().out == f"0 0 2 2 {loopback} {loopback}\n"


def test_the_first_ones_exit_code_is_that_of_all_and_ends_them(tmp_path):
    with pytest.raises(SystemExit) as end:
        launch(2, script(tmp_path, "sys.exit(2)", WAIT))
    assert end.value.code == 2
    assert all_gone(tmp_path)


KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (WAIT, "print('medbench: no.npz: no such file', file=sys.stderr); sys.exit(2)", r"no\.npz: no such file$"),
        (WAIT, "raise ValueError('odd')", r"process 2 of 2 failed: ValueError: odd \(see above\)$"),
        (WAIT, KILL, r"process 2 of 2 was ended by SIGKILL \(out of memory\?\)"),
        (WAIT, "sys.exit(7)", "process 2 of 2 failed: without a word"),
        (KILL, WAIT, "process 1 of 2 was ended by SIGKILL .*; run again to go on from the last checkpoint$"),
    ],
    ids=["mistake", "crash", "killed", "silent", "first killed"],
)
def test_one_that_fails_ends_the_others_with_its_line(tmp_path, first, second, message, capfd):
    with pytest.raises(UserError, match=f"^{message}") as error:
        launch(2, script(tmp_path, first, second))
    assert "\n" not in str(error.value)
    assert all_gone(tmp_path)
    assert ("Traceback" in capfd.readouterr().err) == ("ValueError" in second)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_and_the_first_ones_answer_is_that_of_all(tmp_path, number):
    answer = f"((folder / f'asked{{rank}}').write_text(''), sys.exit({128 + number}))"
    body = f"signal.signal({int(number)}, lambda *_: {answer}); {READY}; {WAIT}"
    with launching(tmp_path, body, body) as process:
        wait_for(tmp_path, "ready0", "ready1")
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert sorted(path.name for path in tmp_path.glob("asked*")) == ["asked0", "asked1"]


def test_one_ended_by_a_second_signal_does_not_keep_the_first_from_saving(tmp_path):
    """As where a scheduler signals every process, and the launcher passes the signal on."""
    save = f"time.sleep(1); (folder / 'saved').write_text(''); sys.exit({128 + signal.SIGTERM})"
    first = f"signal.signal(signal.SIGTERM, lambda *_: exec({save!r})); {READY}; {WAIT}"
    with launching(tmp_path, first, WAIT) as process:
        wait_for(tmp_path, "ready0", "pid1")
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert (tmp_path / "saved").exists()


def test_a_signal_before_they_can_answer_ends_them_too(tmp_path):
    with launching(tmp_path, WAIT, WAIT) as process:
        wait_for(tmp_path, "pid0", "pid1")
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert all_gone(tmp_path)


@linux
def test_a_killed_launcher_takes_all_with_it(tmp_path):
    body = f"from medbench.system.launcher import end_with_launcher; end_with_launcher(); {READY}; {WAIT}"
    with launching(tmp_path, body, body) as process:
        wait_for(tmp_path, "ready0", "ready1")
        process.kill()
    assert all_gone(tmp_path)


@linux
def test_one_whose_launcher_is_gone_before_it_looks_ends(monkeypatch):
    monkeypatch.setattr(launcher.ctypes, "CDLL", lambda *_, **__: type("C", (), {"prctl": lambda *_: 0}))
    monkeypatch.setenv(RENDEZVOUS, "file")
    monkeypatch.setenv(LAUNCHER, str(os.getppid()))
    end_with_launcher()
    monkeypatch.setenv(LAUNCHER, str(os.getpid()))
    with pytest.raises(SystemExit):
        end_with_launcher()


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_process_per_gpu_and_one_without(device, monkeypatch, capsys):
    monkeypatch.setattr("medbench.system.device.take", lambda gpus, key: device)
    monkeypatch.delenv(ON_CPU, raising=False)
    assert [processes_for(gpus, "augmenters.a.gpu") for gpus in (1, 2)] == [1, 2 if device == "cuda" else 1]
    note = "note: augmenters.a.gpu: 2, but this job computes on the CPU: one process, the same batches\n"
    assert capsys.readouterr().err == ("" if device == "cuda" else note)
    monkeypatch.setenv(RENDEZVOUS, "file")
    assert processes_for(2, "augmenters.a.gpu") == 1, "one of several starts no others"
