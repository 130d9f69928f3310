"""What the classifiers of a study left in its run folder, loaded for tables and figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.report.results import CONDITION, StudyResults, flat
from medbench.run import layout
from medbench.run.formats import read_model, read_npz
from medbench.utility.results import UtilityResult

UTILITY_COLUMNS = ["dataset", "budget", "arm", "generator_seed", "classifier_seed", "metric", "class", "value"]


@dataclass(frozen=True)
class ArmScores:
    """Every test score of one arm, R = generator seeds × classifier seeds runs.

    scores (R, N, K) probabilities; labels, groups (N,); thresholds (R, K) chosen on val; generator_seeds (R,), −1 where
    the arm has none; classifier_seeds (R,); classes K names.
    """

    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    thresholds: np.ndarray
    generator_seeds: np.ndarray
    classifier_seeds: np.ndarray
    classes: list[str]


def utility_rows(results: StudyResults) -> pd.DataFrame:
    """One row a value: UTILITY_COLUMNS (`class` None: over all classes) and the conditions in `condition.<name>`.

    An arm that means the same under every budget stands under each budget of the study.
    """
    rows: list[dict[str, Any]] = []
    for dataset, budget, arm, seed, path in _files(results):
        result = read_model(results.checked(path), UtilityResult)
        run = {"dataset": dataset, "budget": budget, "arm": arm, "generator_seed": seed}
        common = run | flat(result.conditions, CONDITION)
        rows += [row.model_dump(by_alias=True) | common for row in result.rows]
    return pd.DataFrame(rows, columns=None if rows else UTILITY_COLUMNS)


def arm_scores(results: StudyResults, dataset: str, budget: str, arm: str) -> ArmScores | None:
    """The scores of all generator seeds that are there; None: a gap.

    Raises:
        UserError: they were scored on different test images.
    """
    parts = [
        (read_npz(results.checked(f"{path.removesuffix('.json')}.npz")), -1 if seed is None else seed)
        for of_dataset, of_budget, of_arm, seed, path in _files(results)
        if (of_dataset, of_budget, of_arm) == (dataset, budget, arm)
    ]
    if not parts:
        return None
    first = parts[0][0]
    if not all(np.array_equal(part["test_labels"], first["test_labels"]) for part, _ in parts):
        raise UserError(
            f"{results.folder}: {dataset}, {arm}: generator seeds were scored on different test images; remove"
            f" utility/{dataset} there and run again"
        )
    return ArmScores(
        scores=np.concatenate([part["test_scores"] for part, _ in parts]),
        labels=first["test_labels"],
        groups=first["test_groups"],
        thresholds=np.concatenate([part["thresholds"] for part, _ in parts]),
        generator_seeds=np.concatenate([np.full(len(part["classifier_seeds"]), seed) for part, seed in parts]),
        classifier_seeds=np.concatenate([part["classifier_seeds"] for part, _ in parts]),
        classes=results.classes(dataset, first["test_scores"].shape[2]),
    )


def _files(results: StudyResults) -> Iterator[tuple[str, str, str, int | None, str]]:
    """Dataset, budget, arm and generator seed of every file of scores that is there."""
    for dataset in results.datasets:
        for budget in results.budgets:
            for arm in map(Arm.parse, results.arms):
                origins = zip(results.generator_seeds(arm.name), results.origins(arm.name), strict=True)
                for seed, origin in origins:
                    path = layout.UTILITY.path(dataset, arm.trained_under(budget), arm.name, origin)
                    if results.present(path):
                        yield dataset, budget, arm.name, seed, path
