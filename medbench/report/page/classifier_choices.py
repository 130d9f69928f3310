"""What the abstract of Yuan et al. 2025 leaves open about the classifier study, and what this run does."""

from medbench.augmenters.diffusion_sections import MedIENet
from medbench.augmenters.image_sections import CutMix, MixUp
from medbench.augmenters.sections import AugmenterSection
from medbench.config.study import Config, Study
from medbench.core.arms import OVERSAMPLE, Arm
from medbench.report.page.choices import (
    NOT_IN_ABSTRACT,
    Cards,
    Choice,
    Choices,
    datasets_of,
    image_sizes,
    mirrored,
    splits,
    titles,
)
from medbench.report.page.generator_choices import augmenters_of
from medbench.report.published import YUAN

MODEL = (
    "MedIENet: a conditional latent diffusion model with a multi-attention module in the encoder, RoPE in the"
    " self-attention, class information by cross-attention; code, sizes and schedule are not in it."
)
ABSENT = "MedIENet itself is not in this run"
BUDGETS = {
    "steps": "as many steps for every arm",
    "epochs": "steps in proportion to the training set",
}


def classifier_choices(config: Config, cards: Cards) -> Choices | None:
    """None for a run that trains no classifier."""
    studies = {name: study for name, study in config.reached.items() if study.arms}
    if not studies:
        return None
    rows = [*_data(config, cards), *_arms(config, studies), *_classifier(config, cards), *_choosing(config)]
    return Choices("Classifiers", YUAN, rows)


def _data(config: Config, cards: Cards) -> list[Choice]:
    names = datasets_of(config, "arms")
    return [
        Choice(
            "Datasets",
            "Chest CT-Scan images, Chest X-Ray Images (Pneumonia), a tongue dataset, which is not identified.",
            titles(names, cards),
        ),
        Choice(
            "Image size",
            NOT_IN_ABSTRACT,
            f"{image_sizes(names, cards)}; resized to {config.utility.image_size}×"
            f"{config.utility.image_size} for the classifier",
        ),
        Choice("Splits", NOT_IN_ABSTRACT, splits(config, names)),
    ]


def _arms(config: Config, studies: dict[str, Study]) -> list[Choice]:
    arms = [Arm.parse(name) for study in studies.values() for name in study.arms]
    used = list(dict.fromkeys(arm.augmenter for arm in arms if arm.augmenter))
    ratios = sorted({arm.ratio for arm in arms if arm.augmenter and arm.real})
    alone = any(not arm.real for arm in arms)
    control = sorted({arm.ratio for arm in arms if arm.extra == OVERSAMPLE})
    return [
        Choice("Generator", MODEL, _generators(config, used)),
        Choice(
            "Generated images per real image",
            NOT_IN_ABSTRACT,
            "; and ".join([*([_numbers(ratios)] if ratios else []), *(["generated images alone"] if alone else [])])
            or "none",
        ),
        Choice(
            "Control",
            NOT_IN_ABSTRACT,
            f"real images repeated, {_numbers(control)} extra per real image" if control else "none",
        ),
    ]


def _generators(config: Config, used: list[str]) -> str:
    if not used:
        return "none"
    there = any(isinstance(section, MedIENet) for section in augmenters_of(config).values())
    return "; ".join(_kind(name, config.augmenters[name]) for name in used) + ("" if there else f"; {ABSENT}")


def _kind(name: str, section: AugmenterSection) -> str:
    mixing = f", α = {section.alpha:g}" if isinstance(section, MixUp | CutMix) else ""
    return f"{name} ({section.kind}{mixing})"


def _classifier(config: Config, cards: Cards) -> list[Choice]:
    utility = config.utility
    weights = f"ImageNet, weights {utility.weights.sha256[:12]}…" if utility.weights else "ImageNet"
    start = weights if utility.init == "imagenet" else "random (from scratch)"
    flips = mirrored(datasets_of(config, "arms"), cards)
    return [
        Choice(
            "Classifier",
            "ResNet50.",
            {"resnet50": "ResNet50", "resnet34": "ResNet34", "resnet18": "ResNet18"}[utility.network],
        ),
        Choice("Initial weights", NOT_IN_ABSTRACT, start),
        Choice(
            "Optimiser",
            NOT_IN_ABSTRACT,
            f"AdamW at {utility.learning_rate:g}, falling to 0 along half a cosine; weight decay"
            f" {utility.weight_decay:g}; batch {utility.batch_size}",
        ),
        Choice(
            "Augmentation, on every arm",
            NOT_IN_ABSTRACT,
            f"random shifts of up to {100 * utility.shift:g} % of the side; by dataset: {flips}",
        ),
    ]


def _choosing(config: Config) -> list[Choice]:
    utility = config.utility
    budgets = list(dict.fromkeys(budget for study in config.reached.values() if study.arms for budget in study.budgets))
    return [
        Choice(
            "Length of training",
            NOT_IN_ABSTRACT,
            f"{utility.steps:,} optimiser steps on the real images;"
            f" {', and again with '.join(BUDGETS[budget] for budget in budgets)}",
        ),
        Choice(
            "Checkpoint",
            NOT_IN_ABSTRACT,
            f"the best of {utility.validations} checks on val, by AUROC, ties by loss; the test split is scored once",
        ),
        Choice("Threshold of sensitivity and specificity", NOT_IN_ABSTRACT, "chosen on val"),
        Choice("AUROC", "Given, but not how it is averaged over classes.", "binary, or macro one-versus-rest"),
        Choice("Classifier seeds", NOT_IN_ABSTRACT, ", ".join(str(seed) for seed in utility.classifier_seeds)),
    ]


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
