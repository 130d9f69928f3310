"""Ways in which a job is interrupted: each waits until the job is at work, and ends when its process has."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.files import finished_checkpoints
from tests.helpers.study import PATIENCE, wait_until


@dataclass
class Job:
    """A verb at work."""

    stage: str
    process: subprocess.Popen
    run: Path
    log: Path
    checkpoints: Path | None  # features have none

    def text(self) -> str:
        return self.log.read_text()

    def saved(self) -> list[Path]:
        return finished_checkpoints(self.checkpoints) if self.checkpoints else []

    def is_at_work(self) -> bool:
        """The first of many units is done; of training, enough for two checkpoints."""
        if self.stage in ("train", "utility"):
            return len(self.saved()) == 2
        return f"{self.stage} " in self.text()

    def wait_until_at_work(self) -> None:
        wait_until(self.is_at_work, f"{self.stage} was at work", self.process)


ENDS_WITHIN = 10.0  # seconds that schedulers leave before they kill; it takes one to two
Way = Callable[[Job], None]


def signalled(number: int, code: int) -> Way:
    def interrupt(job: Job) -> None:
        job.wait_until_at_work()
        job.process.send_signal(number)
        assert job.process.wait(ENDS_WITHIN) == code, job.text()

    return interrupt


killed = signalled(signal.SIGKILL, -signal.SIGKILL)


def asked_to_end(number: int) -> Way:
    """A signal that the job obeys: a checkpoint first, where there are any, and one line."""

    def interrupt(job: Job) -> None:
        signalled(number, 128 + number)(job)
        assert job.text().endswith("; run again to go on\n")
        assert job.checkpoints is None or job.saved()
        assert not [path for path in job.run.rglob(".*.????????") if path.is_dir()]

    return interrupt


def on_a_full_disk(job: Job) -> None:
    job.wait_until_at_work()
    with _filled(job.run / "filler"):
        _fails_in_one_line(job, "No space left on device")


def in_a_read_only_folder(job: Job) -> None:
    job.wait_until_at_work()
    with _read_only(job.run):
        _fails_in_one_line(job, "Read-only file system" if os.geteuid() == 0 else "Permission denied")


def with_a_damaged_checkpoint(damage: Callable[[Path], object]) -> Way:
    def interrupt(job: Job) -> None:
        asked_to_end(signal.SIGTERM)(job)
        damage(job.saved()[-1])

    return interrupt


def mount(*arguments: object) -> None:
    """Skips the test where root may not: in most containers."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.splitlines()[0])


def _fails_in_one_line(job: Job, reason: str) -> None:
    assert job.process.wait(PATIENCE) == 2, job.text()
    assert "Traceback" not in job.text()
    assert reason in job.text().splitlines()[-1]


@contextlib.contextmanager
def _filled(path: Path) -> Iterator[None]:
    """Nothing more can be written on the disk of `path`, a small one."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**20))
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    yield
    path.unlink()


@contextlib.contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """By permission, which means nothing to root; for root by a second, read-only mount of the folder over itself."""
    if os.geteuid() == 0:
        mount("--bind", folder, folder)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    yield
    for path in folders:
        path.chmod(0o755)
