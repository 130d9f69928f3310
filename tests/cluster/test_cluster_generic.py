"""The cluster profiles: what holds without a cluster, and cluster-generic with sbatch and all status scripts."""

import os
import subprocess

import pytest
import yaml

from tests.cluster.study import GENERIC, Study, model
from tests.helpers.files import ROOT
from tests.helpers.study import RUN

MODEL = "models/phantom_xray/annotated_l2/seed0"


@pytest.mark.cluster
def test_a_cancelled_job_is_submitted_again_and_ends_with_the_bytes_of_a_local_run(cluster, local, tmp_path):
    study = Study(tmp_path / "medbench", cluster.environment, prepared=local)
    before = cluster.jobs()
    snakemake = study.snakemake(*GENERIC, model(0), f"{RUN}/samples/phantom_xray/annotated_l2/seed0.npz")
    (training,) = study.freeze(0)
    cluster.command("scancel", training.job)
    study.finish(snakemake)
    assert study.hashes(MODEL, "samples/phantom_xray") == {
        path: content
        for path, content in local.hashes(MODEL, "samples/phantom_xray").items()
        if "/seed1." not in path  # nor its record
    }
    assert study.first_step(0) > training.step
    assert len(cluster.jobs() - before) == 3  # twice the training, once the samples


@pytest.mark.parametrize(
    ("scheduler", "command", "says", "status"),
    [
        ("slurm", "squeue", "COMPLETED", "success"),
        ("slurm", "squeue", "PENDING", "running"),
        ("slurm", "squeue", "COMPLETING", "running"),
        ("slurm", "squeue", "TIMEOUT", "failed"),
        ("slurm", "squeue", "slurm_load_jobs error: Invalid job id specified", "failed"),
        ("slurm", "squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", "running"),
        ("lsf", "bjobs", "DONE", "success"),
        ("lsf", "bjobs", "PEND", "running"),
        ("lsf", "bjobs", "EXIT", "failed"),
        ("lsf", "bjobs", "Job <7> is not found", "failed"),
        ("pbs", "qstat", "job_state = F\n    Exit_status = 0", "success"),
        ("pbs", "qstat", "job_state = F\n    Exit_status = 271", "failed"),
        ("pbs", "qstat", "job_state = Q", "running"),
        ("pbs", "qstat", "qstat: Unknown Job Id 7.server", "failed"),
    ],
)
def test_a_schedulers_words_are_one_of_three(scheduler, command, says, status, tmp_path):
    fake = tmp_path / command
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    fake.chmod(0o755)
    script = ROOT / "profiles/cluster-generic" / f"{scheduler}-status"
    environment = {"PATH": os.pathsep.join([str(tmp_path), "/usr/bin", "/bin"])}
    done = subprocess.run([script, "7"], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout == f"{status}\n"


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["slurm", "cluster-generic"])
def test_a_profile_repeats_the_default_that_it_replaces(name):
    assert profile("default").items() <= profile(name).items()


def test_both_profiles_group_and_retry_alike():
    for key in ("groups", "retries", "keep-going", "set-resource-scopes", "cores", "resources"):
        assert profile("slurm")[key] == profile("cluster-generic")[key]
