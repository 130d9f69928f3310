"""Studies through SLURM and profiles/slurm: interrupted in every way, they end with the bytes of a local run."""

from types import SimpleNamespace

import pytest

from tests.cluster import one_node_slurm
from tests.cluster.study import SLURM, Study, model
from tests.helpers.study import wait_until

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def interrupted(cluster, local, tmp_path_factory):
    """A whole study of which slurmd is killed while both trainings run; one is cancelled, one over its time limit."""
    study = Study(tmp_path_factory.mktemp("slurm") / "medbench", cluster.environment)
    before = cluster.jobs()
    snakemake = study.snakemake(*SLURM)
    trainings = study.freeze(0, 1)
    cancelled, late = (training.job for training in trainings)
    one_node_slurm.kill_daemon(cluster.folder, "slurmd")
    one_node_slurm.start_daemon(cluster.folder, "slurmd")
    after_slurmd = [cluster.state(cancelled), cluster.state(late)]
    cluster.command("scontrol", "update", f"JobId={late}", "EndTime=now+1")  # a limit is a minute at least
    cluster.command("scancel", cancelled)
    study.wait_until_saved(0, 1)  # though SLURM asks the first process of a step alone to end, Snakemake
    study.finish(snakemake)
    return SimpleNamespace(
        study=study,
        trainings=trainings,
        after_slurmd=after_slurmd,
        ends=[cluster.state(cancelled), cluster.state(late)],
        jobs=len(cluster.jobs() - before),
    )


def test_a_whole_study_is_byte_identical_to_a_local_run(interrupted, local):
    products = ("tables", "models", "samples", "fidelity", "utility")
    assert {path.partition("/")[0] for path in local.hashes(*products)} == set(products)
    assert interrupted.study.hashes(*products) == local.hashes(*products)


def test_two_jobs_at_a_time_have_different_gpus(interrupted):
    devices = {training.environment["CUDA_VISIBLE_DEVICES"] for training in interrupted.trainings}
    assert devices == {"0", "1"}


def test_jobs_outlive_a_killed_slurmd(interrupted):
    assert interrupted.after_slurmd == ["RUNNING", "RUNNING"]


def test_a_cancelled_job_and_one_over_its_time_limit_go_on_from_their_checkpoints(interrupted):
    assert interrupted.ends == ["CANCELLED", "TIMEOUT"]
    for seed, training in enumerate(interrupted.trainings):
        assert interrupted.study.first_step(seed) > training.step >= 4


def test_small_jobs_are_submitted_together(interrupted):
    """Of 18: one prepares and audits, one measures the images that it makes, one writes all pages."""
    data, features_real, train, generated, utility, pages, retried = 1, 2, 2, 2, 3, 1, 2
    assert interrupted.jobs == data + features_real + train + generated + utility + pages + retried


def test_a_job_is_started_again_where_its_node_fails(cluster, local, tmp_path):
    study = Study(tmp_path / "medbench", cluster.environment, prepared=local)
    before = cluster.jobs()
    snakemake = study.snakemake(*SLURM, model(0))
    (training,) = study.freeze(0)
    one_node_slurm.lose_node(cluster.folder)
    wait_until(lambda: cluster.state(training.job) == "PENDING", "a job is queued again", printed=study.log.read_text)
    one_node_slurm.start_daemon(cluster.folder, "slurmd")
    study.finish(snakemake)
    folder = "models/phantom_xray/annotated_l2/seed0"
    assert study.hashes(folder) == local.hashes(folder)
    assert study.first_step(0) > training.step
    assert cluster.jobs() - before == {training.job}
