"""A study as small as it can be with every stage that works for long, and Snakemake at work on it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from medbench.run.files import sha256_of
from medbench.run.layout import record_of
from tests.helpers.files import copy_project

RUN = Path("results/small")
CONFIG = """
name: small
torch_threads: 1
datasets:
  phantom_xray: {train: 8, val: 4, test: 4, image_size: 16}
augmenters:
  annotated_l2: {width: 8, multipliers: [1, 2], timesteps: 25, steps: 60, batch_size: 8, log_every: 20,
                 checkpoint_every: 8, probe_images: 4, horizontal_flip: false, conditioning: label,
                 sample_batch_size: 4}
fidelity: {weights: random, dimensions: [64, 2048], n_generated: 16, batch_size: 4}
utility:
  {network: resnet18, init: scratch, weights: null, image_size: 16, steps: 9, batch_size: 4, validations: 1,
   checkpoint_every: 3, classifier_seeds: [0]}
studies:
  small:
    datasets: [phantom_xray]
    augmenters: [annotated_l2]
    generator_seeds: %s
    arms: [real, real+annotated_l2@1]
run: [small]
"""
PATIENCE = 900.0  # seconds for what takes a few, on a machine that does other things as well


def write_study(folder: Path, seeds: int) -> None:
    """A copy of the project, so that an edit meanwhile changes nothing, and the study with some generator seeds."""
    copy_project(folder)
    (folder / "small.yaml").write_text(CONFIG % [*range(seeds)])


class SmallStudy:
    """A folder in which the study runs, with the code of a copy of the project."""

    def __init__(self, folder: Path, code: Path, environment: dict[str, str]):
        self.folder, self.run, self.log = folder, folder / RUN, folder / "snakemake.log"
        self.environment = {**os.environ, **environment, "PYTHONPATH": str(code)}

    def snakemake(self, *arguments: object) -> subprocess.Popen:
        """Snakemake at work, in a process group of its own."""
        command = [Path(sys.executable).parent / "snakemake", *arguments, "--configfile", "small.yaml"]
        return self.started([*map(str, command)], self.log, start_new_session=True)

    def started(self, command: list[str], log: Path, **options) -> subprocess.Popen:
        """A command in the folder, whose output is appended to a log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=file, stderr=file, **options)

    def hashes(self, *folders: str) -> dict[str, str]:
        """Path -> hash of every file of the run, or below folders of it: no logs, hidden files, times of records."""
        files = (path for folder in folders or ("",) for path in sorted((self.run / folder).rglob("*")))
        names = {path.relative_to(self.run).as_posix(): path for path in files if path.is_file()}
        return {
            name: sha256_of(path) if path != record_of(path) else str(without_times(path))
            for name, path in names.items()
            if not name.startswith("logs/") and not path.name.startswith(".")
        }


def without_times(record: Path) -> dict[str, object]:
    """What a record says, and another run of the same must say too."""
    content = json.loads(record.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key not in ("started", "ended", "seal")}


def wait_until(
    happened: Callable[[], object],
    what: str,
    process: subprocess.Popen | None = None,
    printed: Callable[[], str] = str,
) -> None:
    """Until something happened, while a process works, if one is given; with what was printed where that is late."""
    began = time.monotonic()
    while not happened():
        assert process is None or process.poll() is None, f"ended before {what}\n{printed()}"
        assert time.monotonic() - began < PATIENCE, f"waited too long for {what}\n{printed()}"
        time.sleep(0.01)
