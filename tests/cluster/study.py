"""The small study on a cluster, and what its trainings are doing, as the kernel shows it."""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.one_node_slurm import environ_of, processes
from tests.helpers.files import newest_step
from tests.helpers.study import PATIENCE, RUN, SmallStudy, wait_until, write_study

# Seconds, not what suits a cluster: the tests wait for every look at the jobs.
QUICK = ["--seconds-between-status-checks", "1", "--latency-wait", "10"]
SLURM = ["--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1", *QUICK]
GENERIC = ["--workflow-profile", "profiles/cluster-generic", *QUICK]


class Study(SmallStudy):
    """A copy of the project with the study of two generator seeds.

    Args:
        folder: to be made.
        environment: beside this process's.
        prepared: a study whose prepared datasets this one begins with.
    """

    def __init__(self, folder: Path, environment: dict[str, str], prepared: "Study | None" = None):
        super().__init__(folder, folder, environment)
        self.environment.pop("MEDBENCH_GPU_LEASE", None)  # as a user has it: other tests turn leases off
        write_study(folder, seeds=2)
        for name in ("datasets", "audit") if prepared else ():
            shutil.copytree(prepared.run / name, self.run / name)

    def finish(self, snakemake: subprocess.Popen) -> None:
        """Waits for a Snakemake that must succeed."""
        try:
            code = snakemake.wait(PATIENCE)
        finally:
            snakemake.terminate()  # one that is late cancels its jobs
            snakemake.wait()
        assert code == 0, self.log.read_text()

    def freeze(self, *seeds: int) -> "list[Training]":
        """Stops the training of each seed once it has a checkpoint, so that none can end before it is interrupted."""
        frozen: dict[int, Training] = {}

        def all_frozen() -> bool:
            for seed in {*seeds} - {*frozen}:
                if newest_step(self._checkpoints(seed)):
                    frozen[seed] = self._stopped(seed)
            return len(frozen) == len(seeds)

        wait_until(all_frozen, f"a checkpoint of seeds {seeds}", printed=self.log.read_text)
        return [frozen[seed] for seed in seeds]

    def wait_until_saved(self, *seeds: int) -> None:
        """Until each has said that it stopped after a step; its next attempt begins the log anew."""
        saved: set[int] = set()

        def all_saved() -> bool:
            saved.update(seed for seed in seeds if self._log_of(seed).read_text().endswith("; run again to go on\n"))
            return len(saved) == len(seeds)

        wait_until(all_saved, f"a checkpoint that a signal led to, of seeds {seeds}", printed=self.log.read_text)

    def _stopped(self, seed: int) -> "Training":
        pid = next(pid for pid in processes() if self._trains(pid, seed))
        os.kill(pid, signal.SIGSTOP)
        return Training(environ_of(pid), newest_step(self._checkpoints(seed)))

    def _checkpoints(self, seed: int) -> Path:
        return self.run / f"checkpoints/train/phantom_xray-annotated_l2-seed{seed}"

    def _trains(self, pid: int, seed: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            folder = Path(f"/proc/{pid}/cwd").resolve()
        except OSError:  # it has ended
            return False
        wanted = ["-m", "medbench", "train", f"{RUN}/datasets/phantom_xray.npz", model(seed)]
        return folder == self.folder and command[1:6] == wanted

    def first_step(self, seed: int) -> int:
        """The first step that a training's last attempt reports."""
        return int(re.search(r"(\d+)/\d+ steps", self._log_of(seed).read_text()).group(1))

    def _log_of(self, seed: int) -> Path:
        return self.run / f"logs/train/phantom_xray-annotated_l2-seed{seed}.log"


@dataclass(frozen=True)
class Training:
    """One that was stopped in its tracks."""

    environment: dict[str, str]
    step: int  # of its newest checkpoint

    @property
    def job(self) -> str:
        return self.environment["SLURM_JOB_ID"]


def model(seed: int) -> str:
    return f"{RUN}/models/phantom_xray/annotated_l2/seed{seed}"
