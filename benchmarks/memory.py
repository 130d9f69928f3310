"""Peak memory of each stage against what its job asks for (medbench/memory.py), on phantoms.

python benchmarks/memory.py [--device cuda] [--side 64] [--stages utility features] [--augmenters vae medienet_l2 ...]

Networks, batches and images are as in config.yaml; two steps are enough to hold all that training ever holds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from medbench import memory, plan
from medbench.config import Config, load
from medbench.usage import read_usage

AUGMENTERS = ("vae", "medienet_l2", "ldm", "cvae", "cgan", "cddpm", "annotated_l2_label", "classic")
STAGES = ("prepare", "audit", "features", "utility", "train", "sample")
MB_PER_MIB = 2**20 / 1e6


def short_study(side: int, device: str) -> Config:
    raw: dict[str, Any] = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    raw["datasets"]["phantom"] = {"kind": "phantom", "subject": "ct", "image_size": side}
    for section in raw["augmenters"].values():
        section |= {"steps": 2, "log_every": 2} if "steps" in section else {}
        section |= {"fidelity_checks": 0} if "fidelity_checks" in section else {}
    raw["fidelity"] |= {"weights": "random", "n_generated": 64}
    raw["utility"] |= {"init": "scratch", "weights": None, "steps": 2, "validations": 1, "classifier_seeds": [0]}
    raw["utility"]["image_size"] = side
    raw["studies"]["medienet2025"] |= {"datasets": ["phantom"], "arms": ["real"]}
    return load(raw | {"run": ["medienet2025"], "device": device})


def calls(config: Config, root: Path, augmenters: list[str]) -> Iterator[tuple[str, int, list[str]]]:
    """Stage and what it is of, what it asks for, and its command."""
    raw, npz = f"{root}/phantom.raw.npz", f"{root}/phantom.npz"
    audit = ["--found", f"{root}/found.json", "--page", f"{root}/page.html"]
    asked = memory.dataset(config, "phantom")
    yield "prepare", asked, ["prepare", raw, "--config", plan.prepare_section(config, "phantom").canonical()]
    yield "audit", asked, ["audit", raw, npz, *audit, "--config", plan.audit_section(config, "phantom").canonical()]
    section = plan.features_section(config, generated=False).canonical()
    key = ["--key", "train_images"]
    yield "features", memory.features(config), ["features", npz, f"{root}/f.safetensors", *key, "--config", section]
    section = plan.utility_section(config, "phantom", "steps", "real").canonical()
    checkpoints = ["--checkpoints", f"{root}/checkpoints"]
    asked = memory.utility(config, "phantom")
    yield "utility", asked, ["utility", npz, f"{root}/u.json", "--config", section, *checkpoints]
    for name in augmenters:
        seeded = ["--seed", "0", *checkpoints]
        first = plan.first_stage_of(config, name)
        stage = ["--first-stage", f"{root}/{first}"] if first else []
        section = plan.train_section(config, name).canonical()
        asked = memory.train(config, "phantom", name)
        yield f"train {name}", asked, ["train", npz, f"{root}/{name}", "--config", section, *seeded, *stage]
        section = plan.sample_section(config, name).canonical()
        asked = memory.sample(config, "phantom", name)
        yield f"sample {name}", asked, ["sample", f"{root}/{name}", f"{root}/{name}.npz", "--config", section, *seeded]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--augmenters", nargs="+", default=AUGMENTERS, help="a first stage before those that use it")
    options = parser.parse_args()
    environment = {**os.environ, "MEDBENCH_DEVICE": options.device}
    print("| stage | takes, MB | asks for, MB | asked ÷ taken | on the GPU, MiB |")
    with tempfile.TemporaryDirectory() as folder:
        for what, asked, arguments in calls(
            short_study(options.side, options.device), Path(folder), options.augmenters
        ):
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
