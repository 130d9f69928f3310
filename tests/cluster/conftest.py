"""The one-node SLURM that the tests of this folder share; without root or its packages they are skipped by name."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.cluster import one_node_slurm
from tests.cluster.study import Study


class Cluster:
    """A running one-node SLURM."""

    def __init__(self, folder: Path):
        self.folder, self.environment = folder, one_node_slurm.environment(folder)

    def command(self, *arguments: str) -> str:
        """What one of SLURM's commands prints."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment).stdout

    def state(self, job: str) -> str:
        return self.command("squeue", "--noheader", "--states=all", "--format=%T", "--jobs", job).strip()

    def jobs(self) -> set[str]:
        """Every job since the cluster started."""
        return set(self.command("squeue", "--noheader", "--states=all", "--format=%i").split())


@pytest.fixture(scope="session")
def cluster():
    reason = one_node_slurm.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="medbench-slurm-", dir="/tmp"))  # a socket's path must be short
    try:
        one_node_slurm.start(folder)
        yield Cluster(folder)
    finally:
        one_node_slurm.stop(folder)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def local(cluster, tmp_path_factory):
    """The study, run whole on this machine alone."""
    study = Study(tmp_path_factory.mktemp("local") / "medbench", {})
    study.finish(study.snakemake("--cores", "2"))
    return study
