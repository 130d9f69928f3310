"""Sentences on what the arms of a study are."""

from typing import Any

import pandas as pd

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.report.conditions import conditions_of, stated
from medbench.report.results import StudyResults

# Conditions of an arm that mixes on the fly; the last two say nothing of it.
MIXING = ("mixing", "mixing.kind", "mixing.alpha", "mixing.model", "mixing.sample_batch_size")


def arm_notes(results: StudyResults, rows: pd.DataFrame) -> list[str]:
    """What each kind of arm trains a classifier on.

    Args:
        results: what a study left.
        rows: its `utility_rows`.
    """
    arms = [Arm.parse(name) for name in results.arms]
    generated = [arm for arm in arms if results.generates(arm.name)]
    said = ["real: the real training images"]
    if any(arm.real for arm in generated):
        said.append("real + an augmenter ×r: those, and r generated images for each of them")
    if any(arm.extra == OVERSAMPLE for arm in arms):
        said.append(f"real + {OVERSAMPLE} ×r, the control: those, and r real images repeated for each of them")
    if any(not arm.real for arm in generated):
        said.append("only an augmenter: as many generated images, and no real one")
    sentences = [f"Arms, what a classifier is trained on. {'; '.join(said)}."]
    if generated:
        sentences.append("The generators saw the same real training images as the classifiers, and no others.")
    return sentences + _mixing(results, rows)


def mixers(results: StudyResults) -> list[str]:
    """The augmenters of arms that mix real images on the fly."""
    extras = [Arm.parse(name).augmenter for name in results.arms if not results.generates(name)]
    return list(dict.fromkeys(name for name in extras if name))


def _mixing(results: StudyResults, rows: pd.DataFrame) -> list[str]:
    sentences = []
    for name in mixers(results):
        arms = [arm for arm in map(Arm.parse, results.arms) if arm.augmenter == name]
        said = [f"real + {name} ×r: r in 1 + r batches of real images, at random"] if any(a.real for a in arms) else []
        said += [f"only {name}: every batch"] if any(not a.real for a in arms) else []
        how = f"it mixes real ones anew at each step{_settings(rows, [arm.name for arm in arms])}"
        sentences.append(f"{name} generates no image: {how}. {'; '.join(said)}.")
    return sentences


def _settings(rows: pd.DataFrame, arms: list[str]) -> str:
    found: dict[str, Any] = conditions_of(rows[rows["arm"].isin(arms)])
    stands = [name for name in ("kind", "alpha") if f"mixing.{name}" in found]
    said = ", ".join(f"{name} {stated(found, f'mixing.{name}')}" for name in stands)
    return f" ({said})" if said else ""
