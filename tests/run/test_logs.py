"""What a job says of itself: nothing of it decides how the job ends."""

import os
import subprocess
import sys
import time

import pytest

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
