"""The study that is interrupted: as small as it can be with every stage that works for long."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from medbench.run.files import sha256_of
from tests.helpers.files import copy_project

RUN = Path("results/small")
TABLES = RUN / "tables/small"
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
    generator_seeds: [0]
    arms: [real, real+annotated_l2@1]
run: [small]
"""
MODEL = "phantom_xray/annotated_l2/seed0"
# What each stage that is interrupted writes, and what is made from it.
PRODUCTS = {
    "train": f"models/{MODEL}",
    "sample": f"samples/{MODEL}.npz",
    "features": f"features/{MODEL}.safetensors",
    "utility": "utility/phantom_xray/steps/real+annotated_l2@1",
}
FOLLOWED_BY = {
    "train": ("sample", "features", "fidelity", "utility", "tables"),
    "sample": ("features", "fidelity", "utility", "tables"),
    "features": ("fidelity", "tables"),
    "utility": ("tables",),
}
MADE_FROM_IT = {"fidelity": f"fidelity/{MODEL}.json", "tables": "tables/small"} | PRODUCTS
MEMORY = dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**32))  # as the rules have it
PATIENCE = 600.0  # seconds for what takes a few, on a machine that does other things as well
SEVERAL = """
import json, sys
from medbench.cli import app
for arguments in json.loads(sys.argv[1]):
    app(arguments, standalone_mode=False)
"""


class Study:
    """A folder with a copy of the project, in which the study runs; `code` is the copy that its verbs are of."""

    def __init__(self, folder: Path, code: Path | None = None):
        self.folder, self.code = folder, code or folder
        self.started: list[subprocess.Popen] = []
        self.environment = {**os.environ, **MEMORY, "PYTHONPATH": str(self.code)}

    @property
    def run(self) -> Path:
        return self.folder / RUN

    def snakemake(self, *arguments: object) -> subprocess.Popen:
        """Snakemake, at work up to the tables, in a process group of its own."""
        command = [Path(sys.executable).parent / "snakemake", TABLES, "--cores", "2", "--configfile", "small.yaml"]
        with open(self.folder / "snakemake.log", "w") as log:
            process = subprocess.Popen(
                [*map(str, command), *map(str, arguments)],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kills what is left of each Snakemake and its jobs."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def finish(self, *arguments: object) -> str:
        """What Snakemake says when it runs to its end, which must be a good one."""
        code = self.snakemake(*arguments).wait(PATIENCE)
        text = (self.folder / "snakemake.log").read_text()
        assert code == 0, text
        return text

    def start(self, arguments: Sequence[str], log: Path) -> subprocess.Popen:
        """A verb, as a rule calls it."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as file:
            command = [sys.executable, "-m", "medbench", *arguments]
            return subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=file, stderr=subprocess.STDOUT
            )

    def several(self, verbs: Sequence[Sequence[str]]) -> None:
        """Verbs one after another, in one process: the imports are most of their time."""
        command = [sys.executable, "-c", SEVERAL, json.dumps(verbs)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def forget(self, *stages: str) -> None:
        """Removes what stages wrote."""
        for stage in stages:
            path = self.run / MADE_FROM_IT[stage]
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def content(self) -> dict[str, str]:
        """Path -> hash of every file of the run but logs and hidden ones, of which Snakemake keeps some."""
        files = [path for path in self.run.rglob("*") if path.is_file() and not path.name.startswith(".")]
        hashes = {path.relative_to(self.run).as_posix(): sha256_of(path) for path in files}
        return {name: sha256 for name, sha256 in hashes.items() if not name.startswith("logs/")}

    def verbs(self) -> dict[str, list[str]]:
        """Stage -> the arguments of the verb that makes MADE_FROM_IT, as Snakemake would call it."""
        text = self.finish("-n", "-p", "--forceall")
        lines = re.findall(r"\bmedbench (.+) > \S+ 2>&1$", text, re.MULTILINE)
        products = {stage: str(RUN / product) for stage, product in MADE_FROM_IT.items()}
        calls = {call[0]: call for call in map(shlex.split, lines) if products.get(call[0], "\n") in " ".join(call)}
        assert calls.keys() == products.keys()
        return calls


def new_study(folder: Path) -> Study:
    """A copy of the project, so that an edit meanwhile changes nothing between an interruption and the rerun."""
    copy_project(folder)
    (folder / "small.yaml").write_text(CONFIG)
    return Study(folder)


def wait_until(happened: Callable[[], object], process: subprocess.Popen | None, what: str) -> None:
    """Until something happened, while a process works, if one is given."""
    began = time.monotonic()
    while not happened():
        assert process is None or process.poll() is None, f"ended before {what}"
        assert time.monotonic() - began < PATIENCE, f"waited too long for {what}"
        time.sleep(0.002)


def kill_group(process: subprocess.Popen, number: int = signal.SIGKILL) -> None:
    os.killpg(process.pid, number)
    process.wait(PATIENCE)


def leftovers(folder: Path) -> list[str]:
    """Folders in which something was being written, and checkpoints."""
    writing = [path for path in folder.rglob(".*") if re.fullmatch(r"\..+\.[a-z0-9_]{8}", path.name)]
    return [str(path) for path in [*writing, *(folder / "checkpoints").rglob("*.*")]]
