"""Peak memory of each stage against what its job asks for (medbench/config/resources.py), on phantoms.

python benchmarks/memory.py [--preset workflow/presets/chest.yaml] [--device cuda] [--side 64]
    [--stages utility features] [--augmenters vae medienet_l2 ...]

Networks and batches are config.yaml's, or the preset's over them. A few steps hold all that training ever holds: of
what is freed between steps, a job keeps as much as the rules' settings of glibc say.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from phantom_study import DATASET, short_study

from medbench.config import plan
from medbench.config import resources as memory
from medbench.config.study import Config
from medbench.run.job_logs import read_usage

AUGMENTERS = ("vae", "medienet_l2", "ldm", "cvae", "cgan", "cddpm", "annotated_l2_label", "classic")
STAGES = ("prepare", "audit", "features", "utility", "train", "sample")
STEPS = 4
KEPT = dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**32))  # as the rules have it
MB_PER_MIB = 2**20 / 1e6


def calls(config: Config, root: Path, augmenters: list[str]) -> Iterator[tuple[str, int, list[str]]]:
    """Stage and what it is of, what it asks for, and its command."""
    raw, npz = f"{root}/raw.npz", f"{root}/images.npz"
    audit = ["--found", f"{root}/found.json"]
    asked = memory.dataset(config, DATASET)
    yield "prepare", asked, ["prepare", raw, "--config", plan.prepare_section(config, DATASET).canonical()]
    yield "audit", asked, ["audit", raw, npz, *audit, "--config", plan.audit_section(config, DATASET).canonical()]
    section = plan.features_section(config, generated=False).canonical()
    key = ["--key", "train_images"]
    yield "features", memory.features(config), ["features", npz, f"{root}/f.safetensors", *key, "--config", section]
    section = plan.utility_section(config, DATASET, "steps", "real").canonical()
    checkpoints = ["--checkpoints", f"{root}/checkpoints"]
    asked = memory.utility(config, DATASET)
    yield "utility", asked, ["utility", npz, f"{root}/u.json", "--config", section, *checkpoints]
    for name in augmenters:
        seeded = ["--seed", "0", *checkpoints]
        first = plan.first_stage_of(config, name)
        stage = ["--first-stage", f"{root}/{first}"] if first else []
        section = plan.train_section(config, name).canonical()
        asked = memory.train(config, DATASET, name)
        yield f"train {name}", asked, ["train", npz, f"{root}/{name}", "--config", section, *seeded, *stage]
        section = plan.sample_section(config, name).canonical()
        asked = memory.sample(config, DATASET, name)
        yield f"sample {name}", asked, ["sample", f"{root}/{name}", f"{root}/{name}.npz", "--config", section, *seeded]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--augmenters", nargs="+", default=AUGMENTERS, help="a first stage before those that use it")
    options = parser.parse_args()
    config = short_study(options.preset, options.side, STEPS, options.device)
    environment = {**os.environ, **KEPT, "MEDBENCH_DEVICE": options.device}
    print("| | takes, MB | asks for, MB | asked ÷ taken | on the GPU, MiB |")
    with tempfile.TemporaryDirectory() as folder:
        for what, asked, arguments in calls(config, Path(folder), options.augmenters):
            if what.partition(" ")[0] not in {*options.stages, "prepare", "audit"}:
                continue
            command = [sys.executable, "-m", "medbench", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            usage = read_usage(done.stderr)
            if usage is None:
                raise SystemExit(done.stderr)
            peak = usage.peak_mib * MB_PER_MIB
            print(f"| {what} | {peak:,.0f} | {asked:,} | {asked / peak:.2f} | {usage.gpu_mib or ''} |", flush=True)


if __name__ == "__main__":
    main()
