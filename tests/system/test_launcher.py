"""The processes of one training end together, and the one that failed says why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.system import launcher as launch_module
from medbench.system.launcher import LAUNCHER, ON_CPU, RENDEZVOUS, end_with_launcher, launch, processes_for

# Each process notes that it is there, and then does what its rank is told.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
Path({folder!r}, f"pid{{rank}}").write_text(str(os.getpid()))
{body}
"""
WAIT = "time.sleep(60)"


def script(folder: Path, first: str, second: str) -> list[str]:
    body = "\n".join(f"if rank == {rank}:\n    {what}" for rank, what in enumerate((first, second)))
    return ["-c", SCRIPT.format(folder=str(folder), body=body)]


def pid(folder: Path, rank: int) -> int:
    """Of a process of the script, once it is there."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        path = folder / f"pid{rank}"
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"process {rank} did not start")


def gone(number: int) -> bool:
    """Within a moment: what was killed may still have to be waited for."""
    for _ in range(250):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a process's end on Linux alone")


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
    assert not (tmp_path / "pid1").exists() or gone(pid(tmp_path, 1))


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("print('medbench: no.npz: no such file', file=sys.stderr); sys.exit(2)", r"^no\.npz: no such file$"),
        ("raise ValueError('odd')", r"^process 2 of 2 failed: ValueError: odd \(see above\)$"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            r"^process 2 of 2 was ended by SIGKILL \(out of memory\?\)",
        ),
        ("sys.exit(7)", r"^process 2 of 2 failed: without a word"),
    ],
    ids=["mistake", "crash", "killed", "silent"],
)
def test_one_that_fails_ends_the_others_with_its_line(tmp_path, does, said, capfd):
    with pytest.raises(UserError, match=said) as error:
        launch(2, script(tmp_path, WAIT, does))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "pid0").exists() or gone(pid(tmp_path, 0))
    assert ("Traceback" in capfd.readouterr().err) == ("ValueError" in does)


def test_a_killed_first_process_ends_the_others(tmp_path):
    with pytest.raises(
        UserError, match=r"^process 1 of 2 was ended by SIGKILL .*; run again to go on from the last checkpoint$"
    ):
        launch(2, script(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", WAIT))
    assert not (tmp_path / "pid1").exists() or gone(pid(tmp_path, 1))


LAUNCH = """
import sys
from medbench.core.errors import Interrupted, UserError
from medbench.system.launcher import launch
try:
    launch(2, sys.argv[1:])
except Interrupted as stop:
    sys.exit(128 + stop.signal_number)
"""


def launcher(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", LAUNCH, *command])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_and_the_first_ones_answer_is_that_of_all(tmp_path, number):
    note = f"Path({str(tmp_path)!r}, f'asked{{rank}}').write_text('')"
    handler = f"signal.signal({int(number)}, lambda *_: ({note}, sys.exit({128 + number})))"
    once = f"{handler}; Path({str(tmp_path)!r}, f'ready{{rank}}').write_text(''); {WAIT}"
    with launcher(script(tmp_path, once, once)) as process:
        while len(list(tmp_path.glob("ready*"))) < 2:
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert sorted(path.name for path in tmp_path.glob("asked*")) == ["asked0", "asked1"]


def test_one_ended_by_a_second_signal_does_not_keep_the_first_from_saving(tmp_path):
    """As where a scheduler signals every process, and the launcher passes the signal on."""
    save = f"time.sleep(1); Path({str(tmp_path)!r}, 'saved').write_text(''); sys.exit({128 + signal.SIGTERM})"
    ready = f"Path({str(tmp_path)!r}, 'ready').write_text('')"
    first = f"signal.signal(signal.SIGTERM, lambda *_: exec({save!r})); {ready}; {WAIT}"
    with launcher(script(tmp_path, first, WAIT)) as process:
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        pid(tmp_path, 1)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert (tmp_path / "saved").exists()


def test_a_signal_before_they_can_answer_ends_them_too(tmp_path):
    with launcher(script(tmp_path, WAIT, WAIT)) as process:
        pids = [pid(tmp_path, rank) for rank in (0, 1)]
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert all(map(gone, pids))


@linux
def test_a_killed_launcher_takes_all_with_it(tmp_path):
    watch = f"from medbench.system.launcher import end_with_launcher; end_with_launcher(); {WAIT}"
    watched = f"Path({str(tmp_path)!r}, f'ready{{rank}}').write_text(''); {WAIT}"
    body = watch.replace(WAIT, watched)
    with launcher(script(tmp_path, body, body)) as process:
        while len(list(tmp_path.glob("ready*"))) < 2:
            time.sleep(0.02)
        process.kill()
    assert gone(pid(tmp_path, 0)) and gone(pid(tmp_path, 1))


@linux
def test_one_whose_launcher_is_gone_before_it_looks_ends(monkeypatch):
    monkeypatch.setattr(launch_module.ctypes, "CDLL", lambda *_, **__: type("C", (), {"prctl": lambda *_: 0}))
    monkeypatch.setenv(RENDEZVOUS, "file")
    monkeypatch.setenv(LAUNCHER, str(os.getppid()))
    end_with_launcher()
    monkeypatch.setenv(LAUNCHER, str(os.getpid()))
    with pytest.raises(SystemExit):
        end_with_launcher()


# How many ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def on(monkeypatch):
    """The device that a job gets."""

    def device(name: str) -> None:
        monkeypatch.setattr("medbench.system.device.take", lambda gpus, key: name)

    monkeypatch.delenv(ON_CPU, raising=False)
    return device


def test_a_process_a_gpu(on, capsys):
    on("cuda")
    assert [processes_for(gpus, "augmenters.a.gpu") for gpus in (1, 2, 4)] == [1, 2, 4]
    assert capsys.readouterr().err == ""


def test_without_a_gpu_one_process_makes_the_same_batches_and_says_so(on, capsys):
    on("cpu")
    assert processes_for(2, "augmenters.a.gpu") == 1
    said = "note: augmenters.a.gpu: 2, but this job computes on the CPU: one process, the same batches\n"
    assert capsys.readouterr().err == said


def test_one_of_several_starts_no_others(on, monkeypatch):
    on("cuda")
    monkeypatch.setenv(RENDEZVOUS, "file")
    assert processes_for(2, "augmenters.a.gpu") == 1
