"""Bits that flip in a finished run: `python benchmarks/fault_drill.py FOLDER`.

One random bit of one random file at a time, in a small study that is run in FOLDER first. `medbench verify` must find
it, the stage that reads the file must refuse it, and after the command that both print, Snakemake must bring back the
tables byte for byte. Times of files stay as they were, as when a disk goes bad. Logs do not count.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from medbench.run.files import sha256_of
from medbench.run.layout import STAGES, record_of
from medbench.run.records import read_record, written_with
from medbench.run.verify import products_in

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
name: drill
torch_threads: 1
datasets:
  phantom_xray: {train: 8, val: 4, test: 4, image_size: 16}
augmenters:
  copy: {kind: copy}
  annotated_l2: {width: 8, multipliers: [1, 2], timesteps: 10, steps: 4, batch_size: 4, probe_images: 4,
                 horizontal_flip: false, conditioning: label}
fidelity: {weights: random, dimensions: [64], n_generated: 8, batch_size: 8}
utility:
  {network: resnet18, init: scratch, weights: null, image_size: 16, steps: 2, batch_size: 4, validations: 1,
   classifier_seeds: [0]}
studies:
  drill:
    datasets: [phantom_xray]
    augmenters: [copy, annotated_l2]
    generator_seeds: [0]
    arms: [real, real+copy@1, real+annotated_l2@1]
run: [drill]
"""


class Drill:
    def __init__(self, folder: Path):
        self.folder, self.run = folder, folder / "results/drill"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "drill.yaml").write_text(CONFIG, encoding="utf-8")

    def snakemake(self) -> subprocess.CompletedProcess[str]:
        place = ["--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", str(ROOT / "profiles/default")]
        return self.call("snakemake", *place, "--cores", "2", "--configfile", "drill.yaml")

    def verify(self) -> subprocess.CompletedProcess[str]:
        return self.call("medbench", "verify", "results/drill")

    def call(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False)

    def units(self) -> dict[Path, Path]:
        """Record -> a file or folder that it stands beside."""
        return {record_of(path): path for path in reversed(products_in(self.run)) if path != record_of(path)}

    def files(self) -> list[Path]:
        found = [file for path in products_in(self.run) for file in ([path] if path.is_file() else path.rglob("*"))]
        return sorted(file for file in found if file.is_file() and not file.name.startswith("."))

    def tables(self) -> dict[str, str]:
        return {path.name: sha256_of(path) for path in sorted((self.run / "tables").glob("*/*.*"))}

    def fault(self, file: Path, rng: np.random.RandomState) -> dict[str, object]:
        """Of one file: who found it, and whether the run came back."""
        before, units = self.tables(), self.units()
        record = next(record for record, path in units.items() if record_of(file) == record or path in file.parents)
        readers = [path for path in units.values() if record in sources(path)]
        readers.sort(key=lambda path: STAGES.index(read_record(path).stage))  # the first reads it as a whole
        flip(file, rng)
        found = self.verify()
        finding = found.stdout.splitlines()[0]
        refused = self.refused_by(readers[0]) if readers else "(no job reads it)"
        subprocess.run(shlex.split(finding.rpartition("; remove it: ")[2]), cwd=self.folder, check=True)
        healed = self.snakemake().returncode == 0 and self.verify().returncode == 0
        return {
            "file": file.relative_to(self.run).as_posix(),
            "found": found.returncode == 2 and f"/{file.relative_to(self.run).as_posix()}: " in finding,
            "refused by": refused,
            "healed": healed,
            "tables as before": self.tables() == before,
        }

    def refused_by(self, reader: Path) -> str:
        """The stage that reads the file, once it has to work again."""
        stage = read_record(reader).stage
        for path in written_with(reader):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        done = self.snakemake()
        refused = done.returncode != 0 and "is damaged (" in done.stdout + done.stderr
        return stage if refused else f"NOT {stage}"


def sources(path: Path) -> set[Path]:
    """Records of what a file or folder was made from."""
    return {record_of(Path(os.path.normpath(path.parent / name))) for name in read_record(path).made_from}


def flip(file: Path, rng: np.random.RandomState) -> None:
    status, content = file.stat(), bytearray(file.read_bytes())
    content[rng.randint(len(content))] ^= 1 << rng.randint(8)
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    drill, rng = Drill(options.folder.resolve()), np.random.RandomState(options.seed)
    made = drill.snakemake()
    if made.returncode:
        raise SystemExit(made.stderr[-3000:])
    names = [file.relative_to(drill.run) for file in drill.files()]
    rows = []
    for at in rng.choice(len(names), options.faults, replace=False):
        rows.append(drill.fault(drill.run / names[at], rng))
        print(*rows[-1].values(), sep="  ", flush=True)
    table = pd.DataFrame(rows)
    print(f"\n{len(names)} files, {len(table)} faults\n{table.to_string()}")
    good = table["found"] & table["healed"] & table["tables as before"] & ~table["refused by"].str.startswith("NOT")
    raise SystemExit(0 if good.all() else 1)


if __name__ == "__main__":
    main()
