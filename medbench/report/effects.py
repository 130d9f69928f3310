"""What each arm does to test AUROC, against its controls, with intervals over seeds and test images."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng
from medbench.report.results import StudyResults
from medbench.report.tables.differences import SEEDS_TO_CLAIM
from medbench.report.utility_results import ArmScores, arm_scores
from medbench.utility.intervals import (
    auroc_draws,
    difference_interval,
    image_draws,
    image_weights,
    percentile_interval,
    weights_per_seed,
)
from medbench.utility.scores import macro_auroc

DRAWS = 1000
CONTROLS = ("real", OVERSAMPLE)
BUDGETS = {"steps": "equal optimiser steps", "epochs": "equal epochs, larger sets train longer"}  # for readers
DIFFERENCE_INTERVAL = "multi-reader multi-case interval (Obuchowski and Rockette 1995, Hillis 2007)"
NUMBERS = ["auroc", "sd", "low", "high"]
NUMBERS += [f"delta_{control}{part}" for control in CONTROLS for part in ("", "_low", "_high")]
EFFECT_COLUMNS = ["dataset", "budget", "arm", "runs", "missing_runs", "generators", *NUMBERS]
ArmKey = tuple[str, str]  # budget, arm
Effect = Mapping[Hashable, Any]  # a row of `effects`


@dataclass(frozen=True)
class Measured:
    """AUROC of each run of an arm (R,), and on each draw of test images alone (R, DRAWS).

    draws (DRAWS,): their mean on each draw of images and runs, NaN in one without its runs. run_of: which run a seed of
    a generator (index; −1 as in ArmScores) and one of a classifier (columns) made, NaN where that is missing.
    """

    aurocs: np.ndarray
    image_draws: np.ndarray
    draws: np.ndarray
    run_of: pd.DataFrame


@dataclass(frozen=True)
class Difference:
    """A mean AUROC minus another, its `difference_interval` at 95 %, and how many seeds it is from."""

    mean: float
    low: float
    high: float
    generators: int  # 1 also for arms without
    classifiers: int
    sd: float = np.nan  # standard deviation (N − 1) over classifier seeds, NaN of one

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out 0, from enough classifier seeds."""
        return self.classifiers >= SEEDS_TO_CLAIM and (self.low > 0 or self.high < 0)


@cache
def effects(results: StudyResults) -> pd.DataFrame:
    """One row a dataset, budget and arm of the study, in its order, whether it was run or not.

    runs, missing_runs: classifiers there, and those that the study asks for besides; generators: whose images are
    there, 0 for an arm without. auroc, sd: mean and standard deviation (N − 1) over runs. low, high: 95 % percentile
    interval of the two-way bootstrap over runs and test images; a run counts as often as its classifier seed times as
    often as its generator seed was drawn. With few seeds it is too narrow, and with one run it covers test images
    alone.

    delta_real, delta_oversample: AUROC minus that of `real`, and of the arm's control (Arm.control) under the same
    budget, a mean over the generator seeds there and the classifier seeds that these and the other arm share. Each has
    _low and _high, its `difference_interval` at 95 %, which covers generator seeds where there are two or more. NaN
    where there is nothing to compare, and, of the interval, with one classifier seed.

    Raises:
        UserError: arms of one dataset were tested on different images.
    """
    rows: list[dict[str, Any]] = []
    for dataset in results.datasets:
        measured = _measured(results, dataset)
        for budget in results.budgets:
            rows += [{"dataset": dataset, **_row(results, measured, budget, arm)} for arm in results.arms]
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS).astype(dict.fromkeys(NUMBERS, float))


def compared_with(name: str) -> dict[str, str]:
    """Those of CONTROLS that an arm has -> the arm that it is compared with.

    >>> compared_with("real+gen@0.5"), compared_with("only-gen")
    ({'real': 'real', 'oversample': 'real+oversample@0.5'}, {'real': 'real'})
    """
    found = {"real": "real" if name != "real" else None, OVERSAMPLE: Arm.parse(name).control}
    return {control: other for control, other in found.items() if other}


def direction(effect: Effect, control: str) -> int:
    """What the interval of a difference shows: 1 above the control, −1 below, 0 neither.

    Neither: it covers 0, there is none, or it rests on fewer than SEEDS_TO_CLAIM classifier seeds (see NULL_RATES).
    """
    if effect["runs"] < SEEDS_TO_CLAIM * max(effect["generators"], 1):
        return 0
    return int(effect[f"delta_{control}_low"] > 0) - int(effect[f"delta_{control}_high"] < 0)


def arm_label(name: str) -> str:
    """An arm's name for readers, for example "real + annotated_l2 ×0.5" or "only annotated_l2"."""
    arm = Arm.parse(name)
    if not arm.real:
        return f"only {arm.extra}"
    return f"real + {arm.extra} ×{arm.ratio:g}" if arm.extra else "real"


def _row(results: StudyResults, measured: dict[ArmKey, Measured], budget: str, name: str) -> dict[str, Any]:
    own = measured.get((budget, name))
    row: dict[str, Any] = {"budget": budget, "arm": name, "runs": len(own.aurocs) if own else 0}
    row["missing_runs"] = len(results.classifier_seeds) * len(results.generator_seeds(name)) - row["runs"]
    row["generators"] = len(own.run_of) if own and results.generates(name) else 0
    if own is None:
        return row
    low, high = percentile_interval(own.draws)
    row |= {"auroc": own.aurocs.mean(), "sd": _spread(own.aurocs), "low": low, "high": high}
    for control, other in compared_with(name).items():
        against = measured.get((budget, other))
        row |= _difference(own, against, f"delta_{control}") if against else {}
    return row


def between(results: StudyResults, dataset: str, budget: str, arm: str, other: str) -> Difference | None:
    """AUROC of an arm minus that of another, both with generated images; None where they share no seeds.

    Paired by generator seed as well: generators of one seed start from the same weights, as far as they have the same,
    and see the same batches.
    """
    measured = _measured(results, dataset)
    return _by_seeds(measured.get((budget, arm)), measured.get((budget, other)))


def between_datasets(results: StudyResults, dataset: str, other: str, budget: str, arm: str) -> Difference | None:
    """AUROC of an arm on the test images of a dataset minus that on another's; None where these share no seeds.

    Paired by seeds. The images of each are drawn on their own, also those that both hold: what these do to both alike
    is not taken off, and the interval is wider than it need be.
    """
    return _by_seeds(*(_measured(results, name).get((budget, arm)) for name in (dataset, other)))


def _by_seeds(own: Measured | None, its: Measured | None) -> Difference | None:
    if own is None or its is None:
        return None
    generators = own.run_of.index.intersection(its.run_of.index)
    return _paired(own, own.run_of.loc[generators], its, its.run_of.loc[generators])


def _difference(own: Measured, control: Measured, name: str) -> dict[str, float]:
    """A control has no generators: every generator of the arm meets the same runs of it."""
    found = _paired(own, own.run_of, control, control.run_of)
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high} if found else {}


def _paired(own: Measured, own_runs: pd.DataFrame, other: Measured, other_runs: pd.DataFrame) -> Difference | None:
    """Paired by classifier seed, and by generator seed unless the other has one row of runs for all."""
    complete, its = own_runs.dropna(axis=1), other_runs.dropna(axis=1)
    shared = complete.columns.intersection(its.columns)
    if shared.empty or complete.empty:
        return None
    runs, others = complete[shared].to_numpy(int), its[shared].to_numpy(int)  # (G, C), (G, C) or (1, C)
    differences = own.aurocs[runs] - other.aurocs[others]
    of_images = own.image_draws[runs].mean(axis=0) - other.image_draws[others].mean(axis=0)
    low, high = difference_interval(differences, of_images)
    generators, classifiers = differences.shape
    spread = _spread(differences.mean(axis=0))
    return Difference(float(differences.mean()), low, high, generators, classifiers, spread)


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


@cache  # seconds of bootstrap, which all figures, or all tables, of one process share
def _measured(results: StudyResults, dataset: str) -> dict[ArmKey, Measured]:
    """Every arm of a dataset that was run, on the same draws of its test images."""
    wanted = {(b, a): asked_scores(results, dataset, b, a) for b in results.budgets for a in results.arms}
    there = {key: found for key, found in wanted.items() if found is not None}
    if not there:
        return {}
    _check_same_images(results, dataset, there)
    first = next(iter(there.values()))
    images = image_weights(first.labels, first.groups, DRAWS, numpy_rng(results.seed, "bootstrap", "images", dataset))
    return {key: _measure(found, images, _run_weights(results, dataset, key[1], found)) for key, found in there.items()}


def _measure(scores: ArmScores, images: np.ndarray, runs: np.ndarray) -> Measured:
    """On draws of images (DRAWS, N) and of runs (DRAWS, R)."""
    aurocs = np.array([macro_auroc(scores.labels, of_run) for of_run in scores.scores])
    of_images = image_draws(scores.labels, scores.scores, images)
    seeds = {"generator": scores.generator_seeds, "classifier": scores.classifier_seeds, "run": range(len(aurocs))}
    run_of = pd.DataFrame(seeds).pivot(index="generator", columns="classifier", values="run")
    return Measured(aurocs, of_images, auroc_draws(of_images, runs), run_of)


def asked_scores(results: StudyResults, dataset: str, budget: str, arm: str) -> ArmScores | None:
    """Those of the study's classifier seeds: a file that an earlier config left may hold others."""
    found = arm_scores(results, dataset, budget, arm)
    if found is None:
        return None
    asked = np.isin(found.classifier_seeds, results.classifier_seeds)
    runs = ("scores", "thresholds", "generator_seeds", "classifier_seeds")
    return replace(found, **{name: getattr(found, name)[asked] for name in runs}) if asked.any() else None


def _run_weights(results: StudyResults, dataset: str, arm: str, scores: ArmScores) -> np.ndarray:
    """(DRAWS, R) how often each run stands in each draw of seeds; arms share the draws of the seeds that they share."""
    generators = [-1 if seed is None else seed for seed in results.generator_seeds(arm)]  # as in ArmScores
    by_classifier = _seed_weights(results, dataset, "classifier seeds", results.classifier_seeds)
    by_generator = _seed_weights(results, dataset, "generator seeds", generators)
    runs = zip(scores.classifier_seeds.tolist(), scores.generator_seeds.tolist(), strict=True)
    return np.stack([by_classifier[classifier] * by_generator[generator] for classifier, generator in runs], axis=1)


def _seed_weights(results: StudyResults, dataset: str, axis: str, seeds: Sequence[int]) -> dict[int, np.ndarray]:
    """Seed -> (DRAWS,) how often it is drawn."""
    drawn = weights_per_seed(len(seeds), DRAWS, numpy_rng(results.seed, "bootstrap", axis, dataset))
    return dict(zip(seeds, drawn.T, strict=True))


def _check_same_images(results: StudyResults, dataset: str, scores: dict[ArmKey, ArmScores]) -> None:
    (first, of_first), *others = scores.items()
    for key, of_other in others:
        same = (np.array_equal(getattr(of_first, name), getattr(of_other, name)) for name in ("labels", "groups"))
        if not all(same):
            raise UserError(
                f"{results.folder}/utility/{dataset}: {'/'.join(first)} and {'/'.join(key)} were tested on different"
                " images, so they come from different versions of the dataset; remove this folder and run again"
            )
