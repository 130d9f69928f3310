"""What the abstract of Cao et al. 2025 leaves open about images and their FID, and what this run does."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from medbench.augmenters.diffusion_sections import AnnotatedDDPM, ConditionalDiffusion, DiffusionSection
from medbench.augmenters.image_sections import Classic
from medbench.augmenters.sections import AugmenterSection
from medbench.config.plan import image_augmenters, trained_as
from medbench.config.study import Config
from medbench.core.sections import TrainingSection, WeightsFile
from medbench.report.page.choices import (
    NOT_IN_ABSTRACT,
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
from medbench.report.page.spelled_settings import (
    class_text,
    classic_text,
    kind_text,
    learns,
    loss_text,
    network_text,
    optimiser_text,
    over_fitting_text,
    prediction_text,
    sampler_text,
)
from medbench.report.published import CAO
from medbench.report.tables.differences import SEEDS_TO_CLAIM

GENERATOR = (
    "An annotated diffusion model. That it is the one of the walk-through by Rogge and Rasul (2022) is our inference"
    " from the name."
)
STANDARDIZATIONS = {
    "divide_by_std": "divides by the standard deviation",
    "walkthrough": "multiplies by the standard deviation, as the walk-through does",
}
SectionT = TypeVar("SectionT")


def generator_choices(config: Config, cards: Cards) -> Choices | None:
    """None for a run without augmenters that make images."""
    if not augmenters_of(config):
        return None
    rows = [
        *_data(config, cards),
        *_networks(config),
        *_diffusion(config),
        *_training(config, cards),
        *_curves_and_seeds(config),
        *_fid(config),
    ]
    return Choices("Generators and FID", CAO, [row for row in rows if row])


def augmenters_of(config: Config) -> dict[str, AugmenterSection]:
    """What makes images in the listed studies, and the first stages under it."""
    names = dict.fromkeys(name for study in config.reached.values() for name in image_augmenters(config, study))
    return {name: config.augmenters[name] for name in names}


def trained_of(config: Config) -> dict[str, AugmenterSection]:
    """The same as what is trained: of those that sample one model, that one."""
    names = dict.fromkeys(trained_as(config, name) for name in augmenters_of(config))
    return {name: config.augmenters[name] for name in names}


def of_type(sections: Mapping[str, AugmenterSection], kind: type[SectionT]) -> dict[str, SectionT]:
    """Those of one kind of section."""
    return {name: section for name, section in sections.items() if isinstance(section, kind)}


def choice(
    topic: str, abstract: str, sections: Mapping[str, SectionT], said: Callable[[SectionT], str]
) -> Choice | None:
    """A row of what is said of each section; None where there is none."""
    return Choice(topic, abstract, each(sections, lambda name: said(sections[name]))) if sections else None


def _data(config: Config, cards: Cards) -> list[Choice | None]:
    names = datasets_of(config, "augmenters")
    return [
        Choice("Datasets", "MedMNIST v2; the subsets are not named.", titles(names, cards)),
        Choice("Image size", NOT_IN_ABSTRACT, image_sizes(names, cards)),
        Choice("Splits", NOT_IN_ABSTRACT, splits(config, names)),
    ]


def _networks(config: Config) -> list[Choice | None]:
    used, trained = augmenters_of(config), trained_of(config)
    annotated = of_type(trained, AnnotatedDDPM)
    others = {name: section for name, section in of_type(trained, TrainingSection).items() if name not in annotated}
    return [
        choice("Generator", GENERATOR, used, kind_text),
        choice(
            "Width and multipliers",
            f"{NOT_IN_ABSTRACT} The walk-through has width 28 for 28×28 images, and (1, 2, 4).",
            annotated,
            _width,
        ),
        choice(
            "Weight standardization",
            f"{NOT_IN_ABSTRACT} The walk-through multiplies by the standard deviation where the method divides by it.",
            annotated,
            lambda section: STANDARDIZATIONS[section.weight_standardization],
        ),
        choice("Other networks", "Not of this paper.", {name: trained[name] for name in others}, network_text),
        choice("Class labels", f"{NOT_IN_ABSTRACT} The walk-through has none.", _with_labels(used), class_text),
        choice("Classic augmentation", "Not of this paper.", of_type(used, Classic), classic_text),
    ]


def _with_labels(used: Mapping[str, AugmenterSection]) -> dict[str, AugmenterSection]:
    """Without first stages, whose images are real ones again."""
    return {name: section for name, section in used.items() if section.role != "first_stage"}


def _width(section: AnnotatedDDPM) -> str:
    width = "the image size" if section.width is None else str(section.width)
    return f"{width}, ({', '.join(map(str, section.multipliers))})"


def _diffusion(config: Config) -> list[Choice | None]:
    used, trained = (of_type(found, DiffusionSection) for found in (augmenters_of(config), trained_of(config)))
    return [
        choice(
            "Diffusion steps T",
            f"{NOT_IN_ABSTRACT} Walk-through: 300.",
            trained,
            lambda section: str(section.timesteps),
        ),
        choice(
            "Noise schedule",
            f"{NOT_IN_ABSTRACT} Walk-through: linear, β from 0.0001 to 0.02.",
            trained,
            lambda section: section.schedule,
        ),
        choice("The network predicts", f"{NOT_IN_ABSTRACT} Walk-through: the noise ε.", trained, prediction_text),
        choice("Sampler", f"{NOT_IN_ABSTRACT} Walk-through: ancestral, x0 not clipped.", used, sampler_text),
    ]


def _training(config: Config, cards: Cards) -> list[Choice | None]:
    trained = trained_of(config)
    learning = of_type({name: section for name, section in trained.items() if learns(section)}, TrainingSection)
    mirroring = {name: section for name, section in trained.items() if hasattr(section, "horizontal_flip")}
    return [
        choice("Loss", "L2 and Huber, without its β.", of_type(trained, DiffusionSection), loss_text),
        choice(
            "Length of training",
            f"{NOT_IN_ABSTRACT} Walk-through: 6 epochs of 60,000 images, about 2,800 steps.",
            learning,
            lambda section: f"{section.steps:,} optimiser steps",
        ),
        choice(
            "Batch size", f"{NOT_IN_ABSTRACT} Walk-through: 128.", learning, lambda section: str(section.batch_size)
        ),
        choice(
            "Optimiser",
            f"{NOT_IN_ABSTRACT} Walk-through: Adam at 0.001, no averaging of weights.",
            learning,
            optimiser_text,
        ),
        choice(
            "Against over-fitting",
            f"{NOT_IN_ABSTRACT} Walk-through: nothing.",
            of_type(trained, ConditionalDiffusion),
            over_fitting_text,
        ),
        choice(
            "Mirrored training images",
            f"{NOT_IN_ABSTRACT} Walk-through: half of the images, by chance.",
            mirroring,
            lambda section: _flips(config, section, cards),
        ),
    ]


def _flips(config: Config, section: AugmenterSection, cards: Cards) -> str:
    chosen: bool | None = getattr(section, "horizontal_flip", None)
    if chosen is None:
        return f"as each dataset says: {mirrored(datasets_of(config, 'augmenters'), cards)}"
    return "half of the images, by chance" if chosen else "none"


def _curves_and_seeds(config: Config) -> list[Choice | None]:
    curves = Choice(
        "Training curves",
        "Loss curves are shown; the two losses have different scales.",
        "every loss on one scale: ε-MSE on a fixed set of validation images, times and noise",
    )
    seeds = f"{seeds_of(config)}; no difference is claimed with fewer than {SEEDS_TO_CLAIM}"
    return [
        curves if of_type(augmenters_of(config), DiffusionSection) else None,
        Choice("Generator seeds", NOT_IN_ABSTRACT, seeds),
    ]


def _fid(config: Config) -> list[Choice | None]:
    fidelity = config.fidelity
    weights = fidelity.weights
    which = f"weights {weights.sha256[:12]}…" if isinstance(weights, WeightsFile) else "RANDOM weights"
    return [
        Choice(
            "Images generated", NOT_IN_ABSTRACT, f"{fidelity.n_generated:,} per dataset, augmenter and generator seed"
        ),
        Choice(
            "Feature dimensions",
            "Several; values at 64 (L2) and 2048 (Huber) alone.",
            ", ".join(map(str, fidelity.dimensions)),
        ),
        Choice("FID extractor", NOT_IN_ABSTRACT, f"torch-fidelity's inception-v3-compat, {which}, float32"),
        Choice("Resizing for FID", NOT_IN_ABSTRACT, "bilinear to 299×299 as TensorFlow 1 does"),
        Choice(
            "Reference of FID",
            NOT_IN_ABSTRACT,
            "the training split; beside it the test split, and real against real images at the same count"
            f" ({fidelity.floor_draws} draws)",
        ),
    ]
