"""A study smaller than the demo in a copy of the project, and what its trainings are doing, as the kernel shows it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.one_node_slurm import environ_of, processes
from tests.helpers.files import copy_project, newest_step

CONFIG = """
name: tiny
torch_threads: 1
datasets:
  phantom_xray: {train: 8, val: 4, test: 4}
augmenters:
  annotated_l2: {width: 8, multipliers: [1, 2], timesteps: 4, steps: 40, batch_size: 4, horizontal_flip: false,
                 conditioning: label, checkpoint_every: 4}
fidelity: {weights: random, dimensions: [64], n_generated: 6}
utility:
  {network: resnet18, init: scratch, weights: null, image_size: 16, steps: 2, batch_size: 4, validations: 1,
   classifier_seeds: [0]}
studies:
  tiny:
    datasets: [phantom_xray]
    augmenters: [annotated_l2]
    generator_seeds: [0, 1]
    arms: [real, real+annotated_l2@1]
run: [tiny]
"""
# Seconds, not what suits a cluster: the tests wait for every look at the jobs.
QUICK = ["--seconds-between-status-checks", "1", "--latency-wait", "10"]
SLURM = ["--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1", *QUICK]
GENERIC = ["--workflow-profile", "profiles/cluster-generic", *QUICK]
PATIENCE = 900  # seconds for a run, and for a training to begin: a busy machine takes its time


class Study:
    """A copy of the project with the config above.

    Args:
        folder: to be made.
        environment: beside this process's own.
        prepared: a study whose prepared datasets this one begins with.
    """

    def __init__(self, folder: Path, environment: dict[str, str], prepared: "Study | None" = None):
        self.folder, self.results = folder, folder / "results/tiny"
        copy_project(folder)
        if prepared:
            for name in ("datasets", "audit"):
                shutil.copytree(prepared.results / name, self.results / name)
        (folder / "tiny.yaml").write_text(CONFIG)
        self.environment = {**os.environ, **environment, "PYTHONPATH": str(folder)}
        self.environment.pop("MEDBENCH_GPU_LEASE", None)  # as a user has it: other tests turn leases off

    def start(self, *arguments: str) -> subprocess.Popen:
        command = [Path(sys.executable).parent / "snakemake", "--configfile", "tiny.yaml", *arguments]
        with (self.folder / "printed.log").open("a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=self.environment)

    def finish(self, snakemake: subprocess.Popen) -> None:
        """Waits for a Snakemake that must succeed."""
        try:
            code = snakemake.wait(PATIENCE)
        finally:
            snakemake.terminate()  # one that is late cancels its jobs
            snakemake.wait()
        assert code == 0, self.printed()

    def printed(self) -> str:
        """The output of Snakemake, in every run."""
        return (self.folder / "printed.log").read_text()

    def bytes_of(self, *folders: str) -> dict[str, bytes]:
        """Content of every file below folders of the results, by path."""
        paths = (path for folder in folders for path in sorted((self.results / folder).rglob("*")) if path.is_file())
        return {str(path.relative_to(self.results)): path.read_bytes() for path in paths}

    def freeze(self, *seeds: int) -> "list[Training]":
        """Stops the training of each seed once it has a checkpoint, so that none can end before it is interrupted."""
        frozen: dict[int, Training] = {}

        def all_frozen() -> bool:
            for seed in {*seeds} - {*frozen}:
                if newest_step(self._checkpoints(seed)):
                    frozen[seed] = self._stopped(seed)
            return len(frozen) == len(seeds)

        wait_for(all_frozen, f"a checkpoint of seeds {seeds}", self.printed)
        return [frozen[seed] for seed in seeds]

    def wait_until_saved(self, *seeds: int) -> None:
        """Until each has said that it stopped after a step; its next attempt begins the log anew."""
        saved: set[int] = set()

        def all_saved() -> bool:
            saved.update(seed for seed in seeds if self._log(seed).read_text().endswith("; run again to go on\n"))
            return len(saved) == len(seeds)

        wait_for(all_saved, f"a checkpoint that a signal led to, of seeds {seeds}", self.printed)

    def _stopped(self, seed: int) -> "Training":
        pid = next(pid for pid in processes() if self._trains(pid, seed))
        os.kill(pid, signal.SIGSTOP)
        return Training(environ_of(pid), newest_step(self._checkpoints(seed)))

    def _checkpoints(self, seed: int) -> Path:
        return self.results / f"checkpoints/train/phantom_xray-annotated_l2-seed{seed}"

    def _trains(self, pid: int, seed: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            folder = Path(f"/proc/{pid}/cwd").resolve()
        except OSError:  # it has ended
            return False
        wanted = ["-m", "medbench", "train", "results/tiny/datasets/phantom_xray.npz", model(seed)]
        return folder == self.folder and command[1:6] == wanted

    def first_step(self, seed: int) -> int:
        """The first step that a training's last attempt reports."""
        return int(re.search(r"(\d+)/\d+ steps", self._log(seed).read_text()).group(1))

    def _log(self, seed: int) -> Path:
        return self.results / f"logs/train/phantom_xray-annotated_l2-seed{seed}.log"


@dataclass(frozen=True)
class Training:
    """One that was stopped in its tracks."""

    environment: dict[str, str]
    step: int  # of its newest checkpoint

    @property
    def job(self) -> str:
        return self.environment["SLURM_JOB_ID"]


def model(seed: int) -> str:
    return f"results/tiny/models/phantom_xray/annotated_l2/seed{seed}"


def wait_for(ready: Callable[[], object], what: str, printed: Callable[[], str]) -> None:
    """Waits until something has happened."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, f"no sign of {what}\n{printed()}"
        time.sleep(0.05)
