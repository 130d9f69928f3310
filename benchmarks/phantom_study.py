"""Networks, losses and batches of a config on phantoms, trained for a moment: what benchmarks measure."""

import dataclasses
from pathlib import Path

from medbench.config.load import load, read_config
from medbench.config.study import Config
from medbench.data.dataset import Dataset
from medbench.data.prepare import prepare

DATASET = "phantom"
DIFFUSION = ("annotated_ddpm", "cddpm", "ldm", "medienet")


def short_study(preset: Path | None, side: int, steps: int, device: str) -> Config:
    """config.yaml, and a preset over it, with every augmenter on phantoms of a side in pixels, for so many steps.

    Nothing is logged or saved before the last step, no fidelity is checked, samplers take two steps, and Inception's
    weights are random.
    """
    raw = read_config([Path("config.yaml"), *([preset] if preset else [])], {})
    raw["datasets"][DATASET] = {"kind": "phantom", "subject": "ct", "image_size": side}
    for section in raw["augmenters"].values():
        section |= {"steps": steps, "log_every": steps, "checkpoint_every": steps} if "steps" in section else {}
        section |= {"fidelity_checks": 0} if "fidelity_checks" in section else {}
        section |= {"sampler": "ddim", "sample_steps": 2} if section["kind"] in DIFFUSION else {}
    raw["fidelity"] |= {"weights": "random", "n_generated": 64}
    raw["utility"] |= {"init": "scratch", "weights": None, "steps": 2, "validations": 1, "classifier_seeds": [0]}
    raw["utility"]["image_size"] = side
    whole = {"datasets": [DATASET], "augmenters": [*raw["augmenters"]], "generator_seeds": [0], "arms": ["real"]}
    return load(raw | {"studies": {"short": whole}, "run": ["short"], "device": device})


def save_phantoms(config: Config, path: Path) -> None:
    """The study's images as the audit would leave them: no two phantoms are alike, so that only origins are dropped."""
    raw = prepare(config.datasets[DATASET], DATASET, 0)
    splits = {name: dataclasses.replace(split, origins=None) for name, split in raw.splits.items()}
    Dataset(splits, raw.card).save(path, "")
