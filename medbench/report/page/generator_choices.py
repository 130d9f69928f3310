"""What Cao et al. 2025 leave open about making images and measuring FID, and what this run does."""

from medbench.config import AnyAugmenter, Config, WeightsFile, reached
from medbench.report.page.choices import (
    NOT_PUBLIC,
    Cards,
    Choice,
    Choices,
    datasets_of,
    each,
    image_sizes,
    mirrored,
    seeds_of,
    splits,
    titles,
)
from medbench.report.published import CAO
from medbench.report.results import LOSS_NAMES
from medbench.report.tables.differences import SEEDS_TO_CLAIM

WALKTHROUGH = "The walk-through of the annotated model (Rogge and Rasul 2022)"
STANDARDIZATIONS = {
    "divide_by_std": "divides by the standard deviation",
    "walkthrough": "multiplies by the standard deviation, as the walk-through does",
}
CONDITIONINGS = {
    "none": "none, images without labels",
    "label": "by an embedding of the class label",
    "class": "one model a class, the steps shared out",
}


def generator_choices(config: Config, cards: Cards) -> Choices | None:
    """None for a run without generators."""
    if not datasets_of(config, "augmenters"):
        return None
    rows = [*_data(config, cards), *_network(config), *_diffusion(config), *_training(config, cards), *_fid(config)]
    return Choices("Generators and FID", CAO, rows)


def _augmenters(config: Config) -> dict[str, AnyAugmenter]:
    names = dict.fromkeys(name for study in reached(config).values() for name in study.augmenters)
    return {name: config.augmenters[name] for name in names}


def _data(config: Config, cards: Cards) -> list[Choice]:
    names = datasets_of(config, "augmenters")
    return [
        Choice("Datasets", "MedMNIST v2; which subsets is not public.", titles(names, cards)),
        Choice("Image size", NOT_PUBLIC, image_sizes(names, cards)),
        Choice("Splits", NOT_PUBLIC, splits(config, names)),
    ]


def _network(config: Config) -> list[Choice]:
    used = _augmenters(config)
    return [
        Choice(
            "Generator",
            "An annotated diffusion model.",
            each(used, lambda name: f"{used[name].kind}: the walk-through's U-Net, DDPM on pixels"),
        ),
        Choice(
            "Width and multipliers",
            f"{NOT_PUBLIC} {WALKTHROUGH} has width 28 for 28×28 images, and (1, 2, 4).",
            each(used, lambda name: _width(used[name])),
        ),
        Choice(
            "Weight standardization",
            f"{NOT_PUBLIC} The walk-through multiplies by the standard deviation where the method divides by it.",
            each(used, lambda name: STANDARDIZATIONS[used[name].weight_standardization]),
        ),
        Choice(
            "Class labels",
            f"{NOT_PUBLIC} The annotated model has none.",
            each(used, lambda name: CONDITIONINGS[used[name].conditioning]),
        ),
    ]


def _width(section: AnyAugmenter) -> str:
    width = "the image size" if section.width is None else str(section.width)
    return f"{width}, ({', '.join(map(str, section.multipliers))})"


def _diffusion(config: Config) -> list[Choice]:
    used = _augmenters(config)
    return [
        Choice(
            "Diffusion steps T",
            f"{NOT_PUBLIC} Walk-through: 300.",
            each(used, lambda name: str(used[name].timesteps)),
        ),
        Choice(
            "Noise schedule",
            f"{NOT_PUBLIC} Walk-through: linear, β from 0.0001 to 0.02.",
            each(used, lambda name: used[name].schedule),
        ),
        Choice(
            "Sampler",
            f"{NOT_PUBLIC} Walk-through: ancestral, x0 not clipped.",
            each(used, lambda name: f"ancestral, x0 {'' if _clips(used[name]) else 'not '}clipped to [−1, 1]"),
        ),
    ]


def _clips(section: AnyAugmenter) -> bool:
    return section.schedule == "cosine" if section.clip_sample is None else section.clip_sample


def _training(config: Config, cards: Cards) -> list[Choice]:
    used = _augmenters(config)
    return [
        Choice("Loss", "L2 and Huber; Huber's β is not public.", each(used, lambda name: _loss(used[name]))),
        Choice(
            "Length of training",
            f"{NOT_PUBLIC} Walk-through: 6 epochs of 60,000 images, about 2,800 steps.",
            each(used, lambda name: f"{used[name].steps:,} optimiser steps"),
        ),
        Choice("Batch size", f"{NOT_PUBLIC} Walk-through: 128.", each(used, lambda name: str(used[name].batch_size))),
        Choice(
            "Optimiser",
            f"{NOT_PUBLIC} Walk-through: Adam at 0.001, no averaging of weights.",
            each(used, lambda name: _optimiser(used[name])),
        ),
        Choice(
            "Mirrored training images",
            f"{NOT_PUBLIC} Walk-through: half of the images, by chance.",
            each(used, lambda name: _flips(config, used[name], cards)),
        ),
        Choice(
            "Training curves",
            "Loss curves are shown; the two losses have different scales.",
            "every loss on one scale: ε-MSE on a fixed set of validation images, times and noise",
        ),
        Choice(
            "Generator seeds",
            NOT_PUBLIC,
            f"{seeds_of(config)}; no difference is claimed with fewer than {SEEDS_TO_CLAIM}",
        ),
    ]


def _loss(section: AnyAugmenter) -> str:
    beta = f", β = {section.huber_beta:g}" if section.loss == "huber" else ""
    return f"{LOSS_NAMES[section.loss]}{beta}"


def _optimiser(section: AnyAugmenter) -> str:
    averaged = f"weights averaged with decay {section.ema_decay:g}" if section.ema_decay else "no averaging of weights"
    return f"Adam at {section.learning_rate:g}, {averaged}"


def _flips(config: Config, section: AnyAugmenter, cards: Cards) -> str:
    if section.horizontal_flip is None:
        return f"as each dataset says: {mirrored(datasets_of(config, 'augmenters'), cards)}"
    return "half of the images, by chance" if section.horizontal_flip else "none"


def _fid(config: Config) -> list[Choice]:
    fidelity = config.fidelity
    weights = fidelity.weights
    which = f"weights {weights.sha256[:12]}…" if isinstance(weights, WeightsFile) else "RANDOM weights"
    return [
        Choice("Images generated", NOT_PUBLIC, f"{fidelity.n_generated:,} a dataset, augmenter and generator seed"),
        Choice(
            "Feature dimensions",
            "Several; values are public at 64 (L2) and 2048 (Huber) only.",
            ", ".join(map(str, fidelity.dimensions)),
        ),
        Choice("FID extractor", NOT_PUBLIC, f"torch-fidelity's inception-v3-compat, {which}, float32"),
        Choice("Resizing for FID", NOT_PUBLIC, "bilinear to 299×299 as TensorFlow 1 does"),
        Choice(
            "Reference of FID",
            NOT_PUBLIC,
            "the training split; beside it the test split, and real against real images at the same count"
            f" ({fidelity.floor_draws} draws)",
        ),
    ]
