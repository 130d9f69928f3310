"""Time of each augmenter: from the logs, with its first stage, and gaps as gaps."""

import numpy as np

from medbench.report.page.times import time_table
from medbench.run.files import write_text
from medbench.run.logs import Usage
from tests.helpers.records import write_npz


def log(folder, stage: str, name: str, seconds: float, seed=0, gpu=None) -> None:
    text = Usage(seconds, 500, gpu, cpu_seconds=2 * seconds).line()
    write_text(folder / f"logs/{stage}/ct-{name}-seed{seed}.log", f"{stage}: 9/9\n{text}\n")


def rows(results) -> dict[str, list[str]]:
    return {row[1]: list(row[2:]) for row in time_table(results).rows}


def test_training_counts_the_first_stage_in_full_for_each(field_run, tmp_path):
    results = field_run(tmp_path, "field", seeds=[0, 1], augmenters=["medienet", "guided", "cvae"])
    for seed, seconds in ((0, 100.0), (1, 140.0)):
        log(tmp_path, "train", "medienet", seconds, seed, gpu=2000)
        log(tmp_path, "train", "ae", 60.0, seed)
    found = rows(results)
    times = ["2 min 0 s", "1 min 0 s", "3 min 0 s", "6 min 0 s"]  # the last of all threads
    assert found["medienet (L2)"][:6] == [*times, "500 MiB", "2,000 MiB"]
    assert found["guided (L2)"][:3] == found["medienet (L2)"][:3]  # samples medienet's model
    assert found["ae (ceiling)"][:3] == ["1 min 0 s", "–", "1 min 0 s"]
    assert found["cvae"] == ["missing", "–", "missing", "missing", "missing", "–", "missing"]


def test_without_the_first_stages_log_there_is_no_sum(field_run, tmp_path):
    results = field_run(tmp_path, "field", seeds=[0], augmenters=["medienet"])
    log(tmp_path, "train", "medienet", 100.0)
    assert rows(results)["medienet (L2)"][:3] == ["1 min 40 s", "missing", "missing"]


def test_sampling_is_time_over_images(field_run, tmp_path):
    results = field_run(tmp_path, "field", seeds=[0], augmenters=["cvae"])
    log(tmp_path, "sample", "cvae", 30.0)
    write_npz(tmp_path / "samples/ct/cvae/seed0.npz", {"labels": np.zeros(60, int)})
    assert rows(results)["cvae"][-1] == "0.5 s"


def test_without_logs_there_is_no_row(field_run, tmp_path):
    assert time_table(field_run(tmp_path, "field", seeds=[0])).rows == []
