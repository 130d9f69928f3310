"""An ablation study: the parts of a model, which augmenters lack which, and what that changes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from medbench.core.arms import Arm
from medbench.report.effects import Difference, between
from medbench.report.results import StudyResults
from medbench.report.tables.differences import seed_differences
from medbench.report.tables.settings_notes import NO_NUMBER_DEPENDS_ON

PARTS = {
    "multi_attention": "multi-attention",
    "channel_attention": "channel",
    "spatial_attention": "spatial",
    "self_attention": "self-attention",
    "rope": "RoPE",
    "cross_attention": "cross-attention",
}
OF_MODULE = ("channel_attention", "spatial_attention", "self_attention")  # go with multi_attention
REFERENCE = "test"  # the real images that FID is measured against: unseen, so that copying does not pay


def members(results: StudyResults) -> list[str]:
    """The whole model, then the study's other augmenters of its kind; empty for a study that is no ablation."""
    whole = results.ablation
    if whole is None:
        return []
    kind = results.section(whole).get("kind")
    return [whole, *(name for name in results.compared if name != whole and results.section(name).get("kind") == kind)]


def parts(section: Mapping[str, Any]) -> dict[str, bool]:
    """Key of a part -> whether the model has it; empty for a kind without such switches."""
    module = section.get("multi_attention", True)
    return {key: bool(section[key] and (module or key not in OF_MODULE)) for key in PARTS if key in section}


def difference_from(section: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """What a section sets differently from the whole model's; empty where nothing is.

    >>> difference_from({"rope": False, "loss": "huber"}, {"rope": True, "loss": "l2"})
    'without RoPE, loss huber'
    """
    unlike = {key: section.get(key) for key in {**whole, **section} if section.get(key) != whole.get(key)}
    said = [key for key in unlike if key != "model" and key not in NO_NUMBER_DEPENDS_ON]
    return ", ".join(_spelled(key, unlike[key]) for key in said)


def fid_differences(results: StudyResults, dataset: str, augmenter: str) -> dict[str, np.ndarray]:
    """dimension -> FID of an augmenter minus the whole model's, of each generator seed that both have (n,)."""
    fid = results.fid
    own = fid[(fid["dataset"] == dataset) & (fid["metric"] == "fid") & (fid["reference"] == REFERENCE)]
    return {
        str(dimension): seed_differences(rows, str(results.ablation), augmenter)
        for dimension, rows in own.groupby("dimension")
    }


def mixed_arm(results: StudyResults, augmenter: str) -> str | None:
    """The first arm of the study that adds the augmenter's images to the real ones."""
    arms = map(Arm.parse, results.arms)
    return next((arm.name for arm in arms if arm.real and arm.augmenter == augmenter), None)


def arm_of_whole(results: StudyResults, arm: str) -> str | None:
    """The whole model's arm of the same ratio, if the study has it."""
    name = Arm(True, results.ablation, Arm.parse(arm).ratio).name
    return name if name in results.arms else None


def auroc_difference(results: StudyResults, dataset: str, augmenter: str) -> Difference | None:
    """AUROC of an augmenter's first mixed arm minus that of the whole model's at the same ratio; None: not known."""
    arm = mixed_arm(results, augmenter)
    other = arm and arm_of_whole(results, arm)
    return between(results, dataset, results.budgets[0], arm, other) if arm and other else None


def _spelled(key: str, value: Any) -> str:
    if key in PARTS:
        return f"{'with' if value else 'without'} {PARTS[key]}"
    return f"{key.replace('_', ' ')} {value}"
