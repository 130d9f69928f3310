"""The same through Snakemake: its command again goes on, without --unlock."""

import os
import shutil
import signal

import pytest

from tests.interruption.study import PATIENCE, PRODUCTS, Study, finished_checkpoints, kill_group, leftovers, wait_until

pytestmark = pytest.mark.interruption


@pytest.fixture
def study(tmp_path, reference):
    """The finished study in a copy of its own, with what Snakemake knows of it."""
    shutil.copytree(reference.folder, tmp_path / "study", copy_function=shutil.copy2)
    study = Study(tmp_path / "study")
    yield study
    study.end()


def checkpoints(study, stage):
    return finished_checkpoints(study.run / "checkpoints" / stage)


def process_of(study, stage) -> int:
    """The process that holds the checkpoints of a stage's job."""
    (lock,) = (study.run / "checkpoints" / stage).rglob(".lock")
    return int(lock.read_text().split()[0])


def check(study, expected):
    assert leftovers(study.run) == []
    assert study.content() == expected


def test_snakemake_and_its_jobs_are_killed(study, expected):
    study.forget("train", "tables")
    snakemake = study.snakemake()
    wait_until(lambda: checkpoints(study, "train"), snakemake, "the training's first checkpoint")
    kill_group(snakemake)
    study.finish()
    check(study, expected)


def test_a_job_is_killed_and_its_last_checkpoint_is_taken_up(study, expected):
    study.forget("utility", "tables")
    snakemake = study.snakemake()
    wait_until(lambda: checkpoints(study, "utility"), snakemake, "the classifier's first checkpoint")
    os.kill(process_of(study, "utility"), signal.SIGKILL)
    assert snakemake.wait(PATIENCE) == 1
    assert checkpoints(study, "utility")
    assert not list((study.run / PRODUCTS["utility"]).glob("*.*"))
    study.finish()
    check(study, expected)


def test_ctrl_c(study, expected):
    """It reaches Snakemake and its jobs alike."""
    study.forget("utility", "tables")
    snakemake = study.snakemake()
    wait_until(lambda: checkpoints(study, "utility"), snakemake, "the classifier's first checkpoint")
    kill_group(snakemake, signal.SIGINT)
    assert snakemake.returncode == 1
    log = study.run / "logs/utility/phantom_xray-steps-real+annotated_l2@1-seed0.log"
    wait_until(lambda: log.read_text().endswith("; run again to go on\n"), None, "the job had saved")
    study.finish()
    check(study, expected)


def test_snakemake_alone_is_killed_and_a_second_one_waits_for_no_job_of_the_first(study, expected):
    study.forget("utility", "tables")
    snakemake = study.snakemake()
    wait_until(lambda: checkpoints(study, "utility"), snakemake, "the classifier's first checkpoint")
    left = process_of(study, "utility")
    os.kill(left, signal.SIGSTOP)  # it would end too soon
    os.kill(snakemake.pid, signal.SIGKILL)
    snakemake.wait(PATIENCE)
    second = study.snakemake()
    assert second.wait(PATIENCE) == 1
    assert f"process {left} on" in (study.folder / "snakemake.log").read_text()
    os.kill(left, signal.SIGKILL)
    study.finish()
    check(study, expected)
