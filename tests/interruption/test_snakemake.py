"""The same through Snakemake: its command again goes on, without --unlock."""

import os
import shutil
import signal

import pytest

from tests.helpers.files import finished_checkpoints, holder_of
from tests.helpers.study import PATIENCE, wait_until
from tests.interruption.study import PRODUCTS, Study, kill_group, leftovers

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


def at_work(study, stage, *arguments):
    """Snakemake, once its job of a stage that must be done again has written a checkpoint."""
    study.forget(stage, "tables")
    snakemake = study.snakemake(*arguments)
    wait_until(lambda: checkpoints(study, stage), f"the first checkpoint of {stage}", snakemake)
    return snakemake


def process_of(study, stage) -> int:
    """The process that holds the checkpoints of a stage's job."""
    return holder_of(study.run / "checkpoints" / stage)


def check(study, expected):
    assert leftovers(study.run) == []
    assert study.hashes() == expected


def test_snakemake_and_its_jobs_are_killed(study, expected):
    snakemake = at_work(study, "train")
    kill_group(snakemake)
    study.finish()
    check(study, expected)


def test_a_job_is_killed_and_its_last_checkpoint_is_taken_up(study, expected):
    snakemake = at_work(study, "utility")
    os.kill(process_of(study, "utility"), signal.SIGKILL)
    assert snakemake.wait(PATIENCE) == 1
    assert checkpoints(study, "utility")
    assert not list((study.run / PRODUCTS["utility"]).glob("*.*"))
    study.finish()
    check(study, expected)


def test_ctrl_c(study, expected):
    """It reaches Snakemake and its jobs alike."""
    snakemake = at_work(study, "utility")
    kill_group(snakemake, signal.SIGINT)
    assert snakemake.returncode == 1
    log = study.run / "logs/utility/phantom_xray-steps-real+annotated_l2@1-seed0.log"
    wait_until(lambda: log.read_text().endswith("; run again to go on\n"), "the job had saved")
    study.finish()
    check(study, expected)


@pytest.mark.parametrize("within", [(), ("--mode", "remote")], ids=["kill", "a cluster's job"])
def test_sigterm_to_snakemake_alone_reaches_the_job(study, expected, within):
    """As `kill` sends it, and SLURM to a job step that it tracks by cgroups: to its first process."""
    snakemake = at_work(study, "train", *within)
    os.kill(process_of(study, "train"), signal.SIGSTOP)  # it would end too soon
    os.kill(snakemake.pid, signal.SIGTERM)
    assert snakemake.wait(PATIENCE) == 1
    log = study.run / "logs/train/phantom_xray-annotated_l2-seed0.log"
    assert log.read_text().endswith("; run again to go on\n")
    study.finish()
    check(study, expected)


def test_snakemake_alone_is_killed_and_a_second_one_waits_for_no_job_of_the_first(study, expected):
    snakemake = at_work(study, "utility")
    left = process_of(study, "utility")
    os.kill(left, signal.SIGSTOP)  # it would end too soon
    os.kill(snakemake.pid, signal.SIGKILL)
    snakemake.wait(PATIENCE)
    second = study.snakemake()
    assert second.wait(PATIENCE) == 1
    assert f"process {left} on" in study.log.read_text()
    os.kill(left, signal.SIGKILL)
    study.finish()
    check(study, expected)
