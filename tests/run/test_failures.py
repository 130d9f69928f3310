"""What is said of failed jobs when a run ends."""

import os

from medbench.run.files import write_text
from medbench.run.log_endings import SILENT, failures
from medbench.run.logs import Usage


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
