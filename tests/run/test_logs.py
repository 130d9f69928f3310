"""What a job says of itself: nothing of it decides how the job ends."""

import os
import re
import subprocess
import sys
import time

import pytest

from medbench.run import logs
from medbench.run.files import write_text
from medbench.run.job_logs import SILENT, TRACEBACK, End, failures, parse_log
from medbench.run.logs import Progress, Usage

MIB = 2**20
SECTION = '{"name": "p", "dataset": {"kind": "phantom", "subject": "ct", "train": 1, "val": 1, "test": 1}, "seed": 0}'


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_job_that_is_done_is_done_though_its_log_takes_no_more(tmp_path):
    command = [sys.executable, "-m", "medbench", "prepare", str(tmp_path / "p.npz"), "--config", SECTION]
    with open("/dev/full", "w") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 0
    assert (tmp_path / "p.json").exists()


def test_the_log_of_a_silent_job_looks_new(tmp_path):
    script = "import time; from medbench.run import logs; logs.BEAT = 0.05; logs.keep_log_fresh(); time.sleep(60)"
    log = tmp_path / "log"
    with open(log, "w") as file, subprocess.Popen([sys.executable, "-c", script], stderr=file) as process:
        deadline = time.monotonic() + 60
        os.utime(log, (0, 0))
        while log.stat().st_mtime < time.time() - 30 and time.monotonic() < deadline:
            time.sleep(0.02)
        beaten = log.stat().st_mtime
        process.kill()
    assert beaten > time.time() - 30
    assert log.read_text() == ""


@pytest.fixture
def clock(monkeypatch):
    """A function that lets seconds pass."""
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_a_log_gets_a_line_of_progress_now_and_then(clock, capsys):
    progress = Progress("a.zip", 100 * MIB, "B", start=10 * MIB)
    for _ in range(4):
        clock(10)
        progress.update(progress.done + 20 * MIB)
    clock(1)
    progress.update(100 * MIB)
    clock(20)
    Progress("train", 4, "step").update(1, "loss 0.5")
    unknown = Progress("b.zip", None, "B")
    clock(20)
    unknown.update(10 * MIB)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "a.zip: 30.0/100.0 MiB, 2.00 MiB/s, 35 s left",
        "a.zip: 70.0/100.0 MiB, 2.00 MiB/s, 15 s left",
        "a.zip: 100.0/100.0 MiB, 2.20 MiB/s, 0 s left",
        "train: 1/4 steps, 1000000000.00 steps/s, 0 s left, loss 0.5",
        "b.zip: 10.0 MiB, 0.50 MiB/s",
    ]
    assert [parse_log(f"{TRACEBACK}\n{line}").end for line in lines] == [End.OPEN] * 5


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress("a.zip", 100 * MIB, "B", start=50 * MIB)
    progress.update(100 * MIB)
    progress.close()
    assert re.search(r"a\.zip: 100%.*100M/100M", capsys.readouterr().err)


def log(path, text, written=100.0):
    write_text(path, text)
    os.utime(path, (written, written))


def test_each_failed_job_is_a_line_with_its_last_word_and_its_log(tmp_path):
    logs, fetched = tmp_path / "run/logs", tmp_path / "resources/logs"
    log(logs / "train/ct-vae-seed0.log", "step 1\nmedbench: datasets.ct: class b has 0 training images\n", 102)
    log(logs / "utility/ct.log", "Traceback (most recent call last):\n  x.py\nRuntimeError: CUDA out of memory\n", 101)
    log(logs / "report.log", "medbench: report.html: cannot be written: No space left on device\n", 103)
    log(fetched / "medmnist-x.npz.log", "medbench: x.npz: no network\n", 104)
    log(logs / "sample/ct-vae-seed0.log", "sample vae seed 0: 35/170 images, 2.28 images/s, 59 s left\n", 105)
    log(logs / "sample/ct-vae-seed1.log", "", 106)
    log(logs / "sample/done.log", Usage(2.0, 100).line() + "\n")
    log(logs / "sample/of_an_earlier_run.log", "medbench: disk full\n", 99)
    log(logs / "section/report.log", "", 107)  # done, and without words
    log(fetched / "of_another_run.log", "x.npz: 3/9 MB, 2.28 MB/s, 3 s left\n", 108)  # at work
    failed = {logs / f"{job}.log" for job in ("train/ct-vae-seed0", "sample/ct-vae-seed0", "sample/ct-vae-seed1")}
    assert failures([logs, fetched, tmp_path / "nowhere"], since=100, failed=failed) == [
        f"medbench: utility ct: RuntimeError: CUDA out of memory (log: {logs}/utility/ct.log)",
        "medbench: train ct-vae-seed0: datasets.ct: class b has 0 training images"
        f" (log: {logs}/train/ct-vae-seed0.log)",
        f"medbench: report: report.html: cannot be written: No space left on device (log: {logs}/report.log)",
        f"medbench: medmnist-x.npz: x.npz: no network (log: {fetched}/medmnist-x.npz.log)",
        f"medbench: sample ct-vae-seed0: {SILENT}, after: sample vae seed 0: 35/170 images, 2.28 images/s, 59 s left"
        f" (log: {logs}/sample/ct-vae-seed0.log)",
        f"medbench: sample ct-vae-seed1: {SILENT} (log: {logs}/sample/ct-vae-seed1.log)",
    ]
