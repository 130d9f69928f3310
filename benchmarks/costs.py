"""docs/costs.md: what each study of config.yaml takes, estimated from rates that were measured.

python benchmarks/costs.py > docs/costs.md
"""

from functools import cache
from typing import NamedTuple

from fairness import SPEC, parameters, project_config

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.config import plan
from medbench.config.inputs import fetches
from medbench.config.study import Config
from medbench.core.arms import Arm
from medbench.core.sections import TrainingSection
from medbench.data.sections import MedMnistDataset
from medbench.report.facts import NOT_COUNTED, evaluations

GB, HOUR = 1e9, 3600.0


class Rate(NamedTuple):
    """Measured on an H200 with bf16 on chest CT at 128×128, see benchmarks/README.md."""

    training: float  # steps a second
    batch: int
    width: int  # channels of the network's first stage
    evaluations: float | None = None  # of the network a second, when sampling
    side: int = 128


RATES = {
    "autoencoder": Rate(18.4, 32, 32),
    "medienet": Rate(10.7, 32, 64, 54.7 * 50 * 2),  # images a second × steps × both halves of guidance
    "annotated_ddpm": Rate(11.9, 32, 32, 23.5 * 50),
}
NEAREST = {"ldm": "medienet", "cddpm": "annotated_ddpm", "cvae": "autoencoder", "cgan": "autoencoder"}  # not measured
FEATURES = 336.0  # images a second, of Inception on the same GPU
CLASSIFIER = 0.864  # CPU seconds a step: ResNet50, 64 images of 64×64, one thread of an AMD EPYC core, torch 2.11
# Bytes of what is downloaded, where the record of a set does not say: estimates.
SIZES = {
    "pneumoniamnist.npz": 4.2e6,
    "breastmnist.npz": 0.6e6,
    "bloodmnist.npz": 35.5e6,
    "organcmnist.npz": 15.5e6,
    "chest-ctscan-images.zip": 0.12e9,
    "chest-xray-pneumonia.zip": 2.4e9,
    "tongue-dataset.zip": 3.7e9,
    "weights-inception-2015-12-05-6726825d.pth": 95.6e6,
    "resnet50-0676ba61.pth": 102.5e6,
}
WHAT = {
    "cao2025": "the annotated DDPM under both losses on four sets of MedMNIST at 28×28: FID by dimension",
    "medienet2025": "ResNet50 with and without MedIENet's images: chest CT, X-ray, tongue, each clean and as published",
    "field2026": "the same for 12 augmenters, 20 arms and 2 budgets; defined, not in `run:`",
    "ablation": "MedIENet without one part each, on chest CT",
    "guidance": "guidance × steps of one trained MedIENet, on chest CT",
}
COLUMNS = ("study", "what", "jobs", "GPU-hours", "core-hours of classifiers", "downloads, GB", "results, GB")


# Time -------------------------------------------------------------------------------------------------------------


def gpu_seconds(config: Config, study: str) -> float:
    """Training, sampling and Inception features of all generators."""
    trained = sum(_training(config, model) for model in models_trained(config, study))
    return trained + sum(_sampling(config, model) for model in plan.models(config, study))


def models_trained(config: Config, study: str) -> list[plan.Generator]:
    """Of entries that sample one model, that one alone."""
    trained = [
        plan.Generator(model.dataset, plan.trained_as(config, model.augmenter), model.seed)
        for model in plan.models(config, study)
    ]
    return list(dict.fromkeys(trained))


def _training(config: Config, model: plan.Generator) -> float:
    section = config.augmenters[model.augmenter]
    if not isinstance(section, TrainingSection):
        return 0.0
    rate = _rate(section.kind)
    work = section.batch_size / rate.batch * _work(config, model)
    return section.steps / rate.training * max(work, 1)


def _sampling(config: Config, model: plan.Generator) -> float:
    """One evaluation, as a GAN's, is not counted."""
    section = config.augmenters[model.augmenter]
    each = 1 / FEATURES
    if isinstance(section, DiffusionSection):
        measured = _rate(section.kind).evaluations or 1
        each += (evaluations(section.model_dump()) or 0) / measured * max(_work(config, model), 1)
    return config.fidelity.n_generated * each


def _rate(kind: str) -> Rate:
    return RATES[NEAREST.get(kind, kind)]


def _work(config: Config, model: plan.Generator) -> float:
    """What one image takes, in those that were measured: as its pixels, and as its channels squared."""
    section, side = config.augmenters[model.augmenter], _side(config, model.dataset)
    rate, widths = _rate(section.kind), getattr(section, "widths", None)
    width = widths[0] if widths else section.width or side
    return float((side / rate.side) ** 2 * (width / rate.width) ** 2)


def _side(config: Config, dataset: str) -> int:
    section = config.datasets[dataset]
    size = section.size if isinstance(section, MedMnistDataset) else None
    return section.image_size or size or SPEC.size[0]


def classifier_core_seconds(config: Config, study: str) -> float:
    utility = config.utility
    runs = plan.classifier_runs(config, study)
    steps = sum(Arm.parse(run.arm).steps(utility.steps, run.budget) for run in runs)
    return CLASSIFIER * steps * len(utility.classifier_seeds)


# Jobs and bytes ---------------------------------------------------------------------------------------------------


def jobs(config: Config, study: str) -> int:
    """As `snakemake -n <study>` counts them, on a machine without downloads."""
    datasets, made = len(config.studies[study].datasets), len(plan.models(config, study))
    on_datasets = 3 + (2 if made else 0)  # prepared, audited, its page; features of train and test
    pages = 4  # the study's section, tables, figures, and the study itself
    classifiers = len(plan.classifier_runs(config, study))
    counted = on_datasets * datasets + len(models_trained(config, study)) + 3 * made + classifiers + pages
    return counted + len(downloads(config, study))


def downloads(config: Config, study: str) -> dict[str, float]:
    """File -> bytes."""
    remotes = [stage.remote for stage in fetches(config.model_copy(update={"run": [study]})).values()]
    return {remote.file: remote.size or SIZES[remote.file] for remote in remotes}


def result_bytes(config: Config, study: str) -> float:
    """Models, generated images and their features; all else is small, or removed when a job ends."""
    weights = sum(4 * _saved(config, model) for model in models_trained(config, study))
    pixels = sum(_pixels(config, model.dataset) for model in plan.models(config, study))
    numbers = 4 * sum(config.fidelity.dimensions) * len(plan.models(config, study))
    return weights + config.fidelity.n_generated * (pixels + numbers)


def _pixels(config: Config, dataset: str) -> int:
    section = config.datasets[dataset]
    channels = section.channels or (section.facts.channels if section.facts else 3)
    return channels * _side(config, dataset) ** 2


def _saved(config: Config, model: plan.Generator) -> int:
    """A latent model's folder holds its first stage too."""
    first = plan.first_stage_of(config, model.augmenter)
    names = tuple(filter(None, (first, model.augmenter)))
    if not isinstance(config.augmenters[model.augmenter], TrainingSection):
        return 0
    side = _side(config, model.dataset)
    return sum(_counted(side)[name] for name in names)


@cache
def _counted(side: int) -> dict[str, int]:
    """Weights of every generator that a study reaches at that side."""
    config = project_config()
    names = {
        model.augmenter
        for study in config.studies
        for model in models_trained(config, study)
        if _side(config, model.dataset) == side and isinstance(config.augmenters[model.augmenter], TrainingSection)
    }
    counted = parameters(config, sorted(names), ImageSpec(1, (side, side), SPEC.classes, False))
    return {name: sum(n for key, n in parts.items() if key != NOT_COUNTED) for name, parts in counted.items()}


# The page ---------------------------------------------------------------------------------------------------------


def table(config: Config) -> str:
    rows = [_row(config, study) for study in config.studies]
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _row(config: Config, study: str) -> list[str]:
    classifiers = classifier_core_seconds(config, study) / HOUR
    return [
        f"`{study}`",
        WHAT[study],
        f"{jobs(config, study):,}",
        _rounded(gpu_seconds(config, study) / HOUR),
        _rounded(classifiers) if classifiers else "–",
        _rounded(sum(downloads(config, study).values()) / GB),
        _rounded(result_bytes(config, study) / GB),
    ]


def _rounded(value: float) -> str:
    """Two digits: an estimate has no more."""
    return f"{float(f'{value:.2g}'):,g}"


PAGE = """# What the studies take

**Estimates**, from [config.yaml](../config.yaml) and rates that were measured on other sizes. `make docs` writes this
page. A study that shares models or classifiers with another is counted as if it ran alone.

{table}

## From what
- **Jobs**: as `snakemake -n <study>` plans them where nothing has been downloaded.
- **GPU-hours**: training, sampling ({n:,} images per generator) and Inception features on one H200, one job at a time.
  The rates below were measured at 128×128 with bf16 ([benchmarks](../benchmarks/README.md)). Work per image grows as
  its pixels and as the network's first width squared; a step is never taken as faster than measured, since Python
  launches kernels no faster for smaller images, so 28×28 is estimated too slow rather than too fast. Left out: the
  start of each job, probes, checks of KID on val, and the sampling of GAN and VAE, one evaluation per image.
- **Core-hours of classifiers**: {classifier:g} s of CPU time per step, {network} with {batch} images of {side}×{side},
  one thread of an AMD EPYC core. Checks on val are left out. On a GPU classifiers take GPU-hours instead; no rate was
  measured there.
- **Downloads**: as the publisher states them, else estimated from files of the same kind. Archives are unpacked
  beside the file, which takes as much again.
- **Results**: weights, generated images and their features. Checkpoints of running jobs come on top.

| kind | steps/s, training | batch | first width | evaluations/s, sampling | measured |
| --- | --- | --- | --- | --- | --- |
{rates}
"""


def _rates() -> str:
    rows = []
    for kind, rate in RATES.items():
        sampling = f"{rate.evaluations:,.0f}" if rate.evaluations else "–"
        rows.append(f"| {kind} | {rate.training:g} | {rate.batch} | {rate.width} | {sampling} | H200, 128×128 |")
    rows += [f"| {kind} | | | | | not measured: as {nearest} |" for kind, nearest in NEAREST.items()]
    return "\n".join(rows)


def page() -> str:
    config = project_config()
    utility = config.utility
    return PAGE.format(
        table=table(config),
        rates=_rates(),
        n=config.fidelity.n_generated,
        classifier=CLASSIFIER,
        network="ResNet50",
        batch=utility.batch_size,
        side=utility.image_size,
    )


if __name__ == "__main__":
    print(page(), end="")
