"""docs/fairness.md: what each generator of a study is given, side by side, from config.yaml.

python benchmarks/fairness.py [--run results/full] > docs/fairness.md

With --run, the training times of that run's logs. Parameters are counted in networks that are built and not trained.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import yaml

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.decoder_sections import CGAN, Autoencoder
from medbench.augmenters.diffusion_sections import ConditionalDiffusion
from medbench.augmenters.sections import AugmenterSection
from medbench.config import plan
from medbench.config.load import as_written
from medbench.config.study import Config
from medbench.core.sections import TrainingSection
from medbench.data.dataset import Split
from medbench.report.facts import evaluations
from medbench.run.job_logs import read_usage
from medbench.run.layout import MODEL, log_of
from medbench.system.runtime import Runtime
from medbench.training import loop
from medbench.training.task import Task

STUDY = "field2026"
SPEC = ImageSpec(1, (64, 64), ("a", "b", "c", "d"), False)
UNCHECKED = {"fidelity_checks": 0, "probe_images": 2}
COLUMNS = ("images seen", "optimiser updates", "weights averaged", "training images are", "guidance")
COLUMNS += ("evaluations per image", "parameters")
NONE = "–"


def project_config() -> Config:
    return as_written(yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8")))


def generators(config: Config, study: str) -> list[str]:
    """What the study trains, first stages included."""
    names = plan.image_augmenters(config, config.studies[study])
    return [name for name in dict.fromkeys(plan.trained_as(config, name) for name in names) if _learns(config, name)]


def _learns(config: Config, name: str) -> bool:
    return isinstance(config.augmenters[name], TrainingSection)


class Built(Exception):
    """Raised in the place of a training: its networks, as they begin."""

    def __init__(self, networks: dict[str, Any]):
        super().__init__()
        self.networks = networks


def _not_trained(task: Task, *_: Any) -> NoReturn:
    raise Built(task.networks)


def parameters(config: Config, names: list[str], spec: ImageSpec = SPEC) -> dict[str, dict[str, int]]:
    """Numbers of weights by network, a discriminator's too; a latent model's first stage stands in its own row."""
    counted, whole = {}, loop._Loop
    loop._Loop = _not_trained  # type: ignore[assignment, misc]
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in sorted(names, key=lambda name: plan.first_stage_of(config, name) is not None):
                first = plan.first_stage_of(config, name)
                networks = _networks(config.augmenters[name], spec, Path(folder) / name, Path(folder) / (first or name))
                counted[name] = {key: loop.count_parameters(network) for key, network in networks.items()}
    finally:
        loop._Loop = whole  # type: ignore[misc]
    return counted


def _networks(section: AugmenterSection, spec: ImageSpec, folder: Path, first_stage: Path) -> dict[str, Any]:
    augmenter = augmenter_class(section.kind)(section.model_copy(update=UNCHECKED), spec)
    labels = np.arange(len(spec.classes))
    noise = np.random.RandomState(0).randint(0, 256, (len(labels), *spec.shape)).astype(np.uint8)
    images = Split(noise, labels, labels)
    job = Job(0, 0, folder, {}, Runtime("cpu", "fp32", 1, False), "", first_stage=first_stage)
    try:
        augmenter.fit(images, images, job)
    except Built as built:
        if section.role == "first_stage":
            built.networks["vae"].save_pretrained(folder / "vae")
        return built.networks
    raise ValueError(f"{section.kind} trained nothing")


# The table --------------------------------------------------------------------------------------------------------


def table(config: Config, run: Path | None) -> str:
    names = generators(config, STUDY)
    counted = parameters(config, names)
    rows = [[name, *_cells(config, name, counted[name])] for name in names]
    columns = ["augmenter", *COLUMNS]
    if run:
        columns.append("training time")
        rows = [[*row, _time(config, row[0], run)] for row in rows]
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _cells(config: Config, name: str, counted: dict[str, int]) -> list[str]:
    section, first = config.augmenters[name], plan.first_stage_of(config, name)
    return [
        _seen(section, config.augmenters[first] if first else None),
        _updates(section),
        f"{section.ema_decay:g}" if section.ema_decay else "no",
        _changes(section),
        f"{section.guidance_scale:g}" if isinstance(section, ConditionalDiffusion) else NONE,
        f"{evaluations(section.model_dump()):,}" if section.role != "first_stage" else NONE,
        "; ".join(f"{part} {n / 1e6:.1f} M" for part, n in counted.items()),
    ]


def _seen(section: TrainingSection, first: TrainingSection | None) -> str:
    own = section.steps * section.batch_size
    below = first.steps * first.batch_size if first else 0
    return f"{own + below:,}" + (f", {below:,} of them by its first stage" if first else "")


def _updates(section: TrainingSection) -> str:
    """Of each network."""
    match section:
        case CGAN():
            return f"generator {section.steps:,}; discriminator {section.steps:,}"
        case Autoencoder() if section.discriminator_weight > 0:
            return f"vae {section.steps:,}; discriminator {round(section.steps * (1 - section.discriminator_from)):,}"
        case _:
            return f"{section.steps:,}"


def _changes(section: AugmenterSection) -> str:
    flip = {None: "mirrored where allowed", True: "mirrored", False: "not mirrored"}
    parts = [flip[getattr(section, "horizontal_flip", None)]]
    if isinstance(section, ConditionalDiffusion):
        parts += [
            f"shifted by up to {100 * section.shift:g} %, each for {100 * section.augment_probability:g} % of images"
        ]
        parts += [f"dropout {section.dropout:g}"]
    if isinstance(section, CGAN):
        color = {None: "color where allowed", True: "color", False: ""}[section.color]
        policies = [color, *(name for name in ("translation", "cutout") if getattr(section, name))]
        parts += [f"DiffAugment ({', '.join(filter(None, policies))})"]
    return "; ".join(parts)


def _time(config: Config, name: str, run: Path) -> str:
    """Of the trainings that ended, from the last line of their logs: mean of all datasets and seeds."""
    study = config.studies[STUDY]
    trained = [plan.Generator(data, name, seed) for data in study.datasets for seed in study.generator_seeds]
    logs = [run / log_of(MODEL.path(*model)) for model in trained]
    used = [read_usage(log.read_text(encoding="utf-8", errors="replace")) for log in logs if log.exists()]
    seconds = [usage.seconds for usage in used if usage]
    return f"{np.mean(seconds) / 60:.1f} min (mean of {len(seconds)})" if seconds else "not in the run"


PAGE = """# What each generator is given

Generators are compared on equal terms where terms can be equal. These are the terms of the study `{study}`, from
[config.yaml](../config.yaml). `make docs` writes this page; `python benchmarks/fairness.py --run results/<name>` prints
it with the times of a run. `classic`, `copy`, `mixup` and `cutmix` train nothing.

{table}

Parameters are those of networks for {side}×{side} images of {channels} channel and {classes} classes. A latent model
samples with its first stage too. "Allowed" is what the dataset's card says.

## Equal
- **Images seen**: a first stage counts for each model on it, although all of a dataset and seed share one.
- **Averaged weights** (EMA, with warm-up). The walk-through's own entries, `annotated_l2` and `annotated_huber`,
  average nothing: they follow the walk-through, in `cao2025`, and stand beside each other alone.
- **Updates**: all networks of a generator are updated at every step; a first stage's discriminator after a warm-up.
- **The dataset's rules**: no generator mirrors images, or changes their hue, where the card does not allow it.

## Not equal
- **Guidance** is fixed, at the scale in the table, and was chosen on no data; other kinds have none. The study
  `guidance` shows what other scales do to one trained MedIENet on chest CT.
- **Regularization**: the conditional diffusion models have dropout and shifts, the GAN has DiffAugment, `cvae` and the
  annotated model only mirror. These belong to each method as it is used.
- **Updates at equal images**: a larger batch sees as many images in fewer steps. Batch size and learning rate are each
  kind's own; none was tuned for these data.
- **Size and time** per image differ between kinds, as the table shows.
"""


def page(run: Path | None = None) -> str:
    (side, _), channels, classes = SPEC.size, SPEC.channels, len(SPEC.classes)
    shown = table(project_config(), run)
    return PAGE.format(study=STUDY, table=shown, side=side, channels=channels, classes=classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run folder, for training times")
    print(page(parser.parse_args().run), end="")


if __name__ == "__main__":
    main()
