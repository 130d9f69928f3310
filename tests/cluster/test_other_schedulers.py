"""The lines for LSF and PBS in profiles/cluster-generic, with stand-ins for their commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.files import ROOT

pytestmark = pytest.mark.cluster

SNAKEFILE = """
rule made:
    output: "made.txt"
    threads: 2
    resources: gpu={gpu}, mem_mb=100, runtime=30
    shell: "echo made > {{output}}"
"""
# Each runs the script that it is given at once, keeps its own arguments, and prints what the real one prints.
SUBMIT = """#!/bin/bash
echo "$@" > {folder}/arguments
sh "${{@: -1}}" > /dev/null 2>&1
echo "{answer}"
"""
STATUS = """#!/bin/bash
test "${{@: -1}}" = "{job}" && printf '{answer}\\n'
"""
SCHEDULERS = {
    "LSF": {
        "bsub": SUBMIT.replace("{answer}", "Job <17> is submitted to default queue <normal>."),
        "bjobs": STATUS.replace("{job}", "17").replace("{answer}", "DONE"),
    },
    "PBS": {
        "qsub": SUBMIT.replace("{answer}", "17.server"),
        "qstat": STATUS.replace("{job}", "17.server").replace("{answer}", "job_state = F\\nExit_status = 0"),
    },
}


@pytest.mark.parametrize(
    ("scheduler", "gpu", "asks"),
    [
        ("LSF", 0, "-n 2 -R span[hosts=1] -M 100MB -R rusage[mem=100MB] -W 30 "),
        ("LSF", 1, "-W 30 -gpu num=1 "),
        ("PBS", 1, "-l select=1:ncpus=2:mem=100mb:ngpus=1 -l walltime=1800 "),
    ],
)
def test_a_job_goes_through(scheduler, gpu, asks, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(gpu=gpu))
    profile_for(scheduler, tmp_path / "profile")
    for name, text in SCHEDULERS[scheduler].items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(text.format(folder=tmp_path))
        command.chmod(0o755)
    snakemake = [Path(sys.executable).parent / "snakemake", "--workflow-profile", "profile"]
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    quick = ["--seconds-between-status-checks", "1"]
    done = subprocess.run([*snakemake, *quick], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "made.txt").exists()
    assert asks in (tmp_path / "arguments").read_text()


def profile_for(scheduler: str, folder: Path) -> None:
    """The profile with the lines of another scheduler, taken out of comments, in place of SLURM's."""
    shutil.copytree(ROOT / "profiles/cluster-generic", folder)
    config = folder / "config.yaml"
    before, _, rest = config.read_text().partition("cluster-generic-submit-cmd:")
    commented, _, after = rest.partition("jobs:")
    block = commented.partition(f"# {scheduler}")[2].partition("\n")[2]
    lines = block.partition("# PBS")[0].splitlines()
    config.write_text("\n".join([before, *(line.removeprefix("# ") for line in lines), f"jobs:{after}"]))
