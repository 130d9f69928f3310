"""The study that is interrupted, and the verbs of its stages."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.helpers.study import PATIENCE, RUN, SmallStudy

TABLES = RUN / "tables/small"
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
SEVERAL = """
import json, sys
from medbench.cli import app
for arguments in json.loads(sys.argv[1]):
    app(arguments, standalone_mode=False)
"""


class Study(SmallStudy):
    """A folder in which the study runs; `code` is the copy of the project that its verbs are of."""

    def __init__(self, folder: Path, code: Path | None = None):
        super().__init__(folder, code or folder, MEMORY)
        self.code = code or folder
        self.processes: list[subprocess.Popen] = []

    def snakemake(self, *arguments: object) -> subprocess.Popen:
        """Snakemake, at work up to the tables."""
        self.processes.append(super().snakemake(TABLES, "--cores", "2", *arguments))
        return self.processes[-1]

    def end(self) -> None:
        """Kills what is left of each Snakemake and its jobs."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def finish(self, *arguments: object) -> str:
        """What Snakemake has printed when it ends, which must be a good end."""
        code = self.snakemake(*arguments).wait(PATIENCE)
        assert code == 0, self.log.read_text()
        return self.log.read_text()

    def start(self, arguments: Sequence[str], log: Path) -> subprocess.Popen:
        """A verb, as a rule calls it."""
        return self.started([sys.executable, "-m", "medbench", *arguments], log)

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

    def verbs(self) -> dict[str, list[str]]:
        """Stage -> the arguments of the verb that makes MADE_FROM_IT, as Snakemake would call it."""
        text = self.finish("-n", "-p", "--forceall")
        lines = re.findall(r"\bmedbench (.+) > \S+ 2>&1$", text, re.MULTILINE)
        products = {stage: str(RUN / product) for stage, product in MADE_FROM_IT.items()}
        calls = {call[0]: call for call in map(shlex.split, lines) if products.get(call[0], "\n") in " ".join(call)}
        assert calls.keys() == products.keys()
        return calls


def kill_group(process: subprocess.Popen, number: int = signal.SIGKILL) -> None:
    os.killpg(process.pid, number)
    process.wait(PATIENCE)


def leftovers(folder: Path) -> list[str]:
    """Folders in which something was being written, and checkpoints."""
    writing = [path for path in folder.rglob(".*") if re.fullmatch(r"\..+\.[a-z0-9_]{8}", path.name)]
    return [str(path) for path in [*writing, *(folder / "checkpoints").rglob("*.*")]]
