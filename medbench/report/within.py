"""Leakage within one model: the same classifiers with and without the test images that stand in train or val too.

Nothing is trained for it: the stored scores of all test images are taken, and AUROC is counted once over all and once
over those that are no copy, pixel by pixel, of an image that the classifier learned from or was chosen on.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from medbench.audit.results import AuditResult
from medbench.report.audits import audit_of
from medbench.report.effects import asked_scores
from medbench.report.results import StudyResults
from medbench.report.utility_results import ArmScores
from medbench.utility.scores import macro_auroc


@dataclass(frozen=True, eq=False)
class Within:
    """One arm on a dataset as published.

    runs: a row a run; generator_seed (None without), classifier_seed, whole and rest: AUROC over all test images and
    over those that stand in no other split, NaN where that is not defined.
    """

    dataset: str
    budget: str
    arm: str
    images: int  # in the test split
    left: int | None  # of them in no other split; None: not known
    runs: pd.DataFrame
    reason: str  # why there is no `rest`; empty: there is

    @property
    def differences(self) -> np.ndarray:
        """(C,) AUROC over all minus over the rest, of each classifier seed, a mean over its generator seeds."""
        by_run = self.runs["whole"] - self.runs["rest"]
        return by_run.groupby(self.runs["classifier_seed"]).mean().to_numpy()


@cache  # seconds of AUROC, which tables, figure and page of one process share
def within_models(results: StudyResults) -> list[Within]:
    """Every arm with scores on each dataset as published that stands in a pair, in the study's order."""
    return list(_within_models(results))


def _within_models(results: StudyResults) -> Iterator[Within]:
    datasets = dict.fromkeys(published for published, _ in results.protocols)
    for dataset, budget, arm in itertools.product(datasets, results.budgets, results.arms):
        scores = asked_scores(results, dataset, budget, arm)
        if scores is not None:
            yield _within(results, dataset, budget, arm, scores)


def _within(results: StudyResults, dataset: str, budget: str, arm: str, scores: ArmScores) -> Within:
    audit, rows = audit_of_scored(results, dataset, len(scores.labels)), np.arange(len(scores.labels))
    kept = ~np.isin(rows, [image.row for image in audit.exact.test_copies]) if audit else None
    reason = why_not(scores.labels, kept, scores.classes)
    rest = np.full(len(scores.scores), np.nan)
    if kept is not None and not reason:
        rest = np.array([macro_auroc(scores.labels[kept], of_run[kept]) for of_run in scores.scores])
    runs = pd.DataFrame(
        {
            "generator_seed": [None if seed < 0 else seed for seed in scores.generator_seeds.tolist()],
            "classifier_seed": scores.classifier_seeds,
            "whole": [macro_auroc(scores.labels, of_run) for of_run in scores.scores],
            "rest": rest,
        }
    )
    left = None if kept is None else int(kept.sum())
    return Within(dataset, budget, arm, len(scores.labels), left, runs, reason)


def why_not(labels: np.ndarray, kept: np.ndarray | None, classes: list[str]) -> str:
    """Why there is no AUROC over the images kept (N,) bool; empty: there is one."""
    if kept is None:
        return "which test images stand in train or val is not known"
    if kept.all():
        return "no test image stands in train or val"
    gone = [classes[k] for k in np.unique(labels) if not (labels[kept] == k).any()]
    return f"no image of class {', '.join(gone)} is left" if gone else ""


def audit_of_scored(results: StudyResults, dataset: str, images: int) -> AuditResult | None:
    """The audit that says which of the `images` scored test images stand in train or val; None: it is not known."""
    audit = audit_of(results, dataset)
    return audit if audit and sum(audit.before["test"]) == images else None
