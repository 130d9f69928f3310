"""What each arm does to test AUROC, against its controls, with intervals over seeds and test images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from medbench.arms import OVERSAMPLE, Arm
from medbench.errors import UserError
from medbench.report.results import StudyResults
from medbench.report.utility_results import ArmScores, arm_scores
from medbench.rng import numpy_rng
from medbench.utility.bootstrap import auroc_draws, image_weights, percentile_interval, seed_weights
from medbench.utility.metrics import macro_auroc

DRAWS = 1000
CONTROLS = ("real", OVERSAMPLE)
NUMBERS = ["auroc", "sd", "low", "high"]
NUMBERS += [f"delta_{control}{part}" for control in CONTROLS for part in ("", "_low", "_high")]
EFFECT_COLUMNS = ["dataset", "budget", "arm", "runs", "missing_runs", *NUMBERS]
ArmKey = tuple[str, str]  # budget, arm


@dataclass(frozen=True)
class Measured:
    """AUROC of each run (R,) of an arm, and their mean in each bootstrap draw (DRAWS,), NaN in one without its runs."""

    aurocs: np.ndarray
    draws: np.ndarray


@cache  # seconds of bootstrap that tables and figures share
def effects(results: StudyResults) -> pd.DataFrame:
    """One row a dataset, budget and arm of the study, in its order, whether it was run or not.

    runs, missing_runs: classifiers there, and those that the study asks for besides. auroc, sd: mean and standard
    deviation (N − 1) over runs. low, high: 95 % percentile interval of the two-way bootstrap over runs and test
    images; a run counts as often as its classifier seed times as often as its generator seed was drawn. With one run
    it covers test images alone. delta_real, delta_oversample (each with _low, _high): the arm's mean minus that of
    `real`, and of the oversample arm of its ratio under the same budget, over the same draws of seeds and images. NaN
    where there is no such control, no runs, or no spread. An arm without real images has no oversample control: its
    set is no larger than the real one.

    Raises:
        UserError: arms of one dataset were tested on different images.
    """
    rows: list[dict[str, Any]] = []
    for dataset in results.datasets:
        measured = _measured(results, dataset)
        for budget in results.budgets:
            rows += [{"dataset": dataset, **_row(results, measured, budget, arm)} for arm in results.arms]
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS).astype(dict.fromkeys(NUMBERS, float))


def arm_label(results: StudyResults, name: str) -> str:
    """An arm's name for readers, for example "real + annotated_l2 ×0.5" or "only annotated_l2"."""
    arm = Arm.parse(name)
    if not arm.real:
        return f"only {arm.extra}"
    return f"real + {arm.extra} ×{arm.ratio:g}" if arm.extra else "real"


def _row(results: StudyResults, measured: dict[ArmKey, Measured], budget: str, name: str) -> dict[str, Any]:
    arm = Arm.parse(name)
    own = measured.get((budget, name))
    row: dict[str, Any] = {"budget": budget, "arm": name, "runs": len(own.aurocs) if own else 0}
    row["missing_runs"] = len(results.classifier_seeds) * len(_generator_seeds(results, arm)) - row["runs"]
    if own:
        low, high = percentile_interval(own.draws)
        row |= {"auroc": own.aurocs.mean(), "sd": _spread(own.aurocs), "low": low, "high": high}
    for control in CONTROLS:
        against = measured.get((budget, _control(arm, control)))
        if own and against and own is not against:
            row |= _difference(own, against, f"delta_{control}")
    return row


def _control(arm: Arm, control: str) -> str:
    """The name of the arm that this one is compared with; empty where it has none."""
    if control == "real":
        return "real"
    return Arm(True, OVERSAMPLE, arm.ratio).name if arm.real and arm.extra else ""


def _difference(own: Measured, control: Measured, name: str) -> dict[str, float]:
    low, high = percentile_interval(own.draws - control.draws)
    return {name: own.aurocs.mean() - control.aurocs.mean(), f"{name}_low": low, f"{name}_high": high}


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def _measured(results: StudyResults, dataset: str) -> dict[ArmKey, Measured]:
    """Every arm of a dataset that was run, on the same draws of its test images."""
    wanted = {(b, a): _scores(results, dataset, b, a) for b in results.budgets for a in results.arms}
    there = {key: found for key, found in wanted.items() if found is not None}
    if not there:
        return {}
    _check_same_images(results, dataset, there)
    first = next(iter(there.values()))
    images = image_weights(first.labels, first.groups, DRAWS, numpy_rng(results.seed, "bootstrap", "images", dataset))
    return {
        key: Measured(
            np.array([macro_auroc(found.labels, of_run) for of_run in found.scores]),
            auroc_draws(found.labels, found.scores, _run_weights(results, dataset, key[1], found), images),
        )
        for key, found in there.items()
    }


def _scores(results: StudyResults, dataset: str, budget: str, arm: str) -> ArmScores | None:
    """Those of the study's classifier seeds: a file that an earlier config left may hold others."""
    found = arm_scores(results, dataset, budget, arm)
    if found is None:
        return None
    asked = np.isin(found.classifier_seeds, results.classifier_seeds)
    runs = ("scores", "thresholds", "generator_seeds", "classifier_seeds")
    return replace(found, **{name: getattr(found, name)[asked] for name in runs}) if asked.any() else None


def _run_weights(results: StudyResults, dataset: str, arm: str, scores: ArmScores) -> np.ndarray:
    """(DRAWS, R) how often each run stands in each draw of seeds; arms share the draws of the seeds that they share."""
    generators = _generator_seeds(results, Arm.parse(arm))
    by_classifier = _seed_weights(results, dataset, "classifier seeds", results.classifier_seeds)
    by_generator = _seed_weights(results, dataset, "generator seeds", generators)
    runs = zip(scores.classifier_seeds.tolist(), scores.generator_seeds.tolist(), strict=True)
    return np.stack([by_classifier[classifier] * by_generator[generator] for classifier, generator in runs], axis=1)


def _seed_weights(results: StudyResults, dataset: str, axis: str, seeds: Sequence[int]) -> dict[int, np.ndarray]:
    """Seed -> (DRAWS,) how often it is drawn."""
    drawn = seed_weights(len(seeds), DRAWS, numpy_rng(results.seed, "bootstrap", axis, dataset))
    return dict(zip(seeds, drawn.T, strict=True))


def _generator_seeds(results: StudyResults, arm: Arm) -> Sequence[int]:
    """Those of the study; −1, as in ArmScores, for an arm without generated images."""
    return results.seeds if arm.augmenter else [-1]


def _check_same_images(results: StudyResults, dataset: str, scores: dict[ArmKey, ArmScores]) -> None:
    (first, of_first), *others = scores.items()
    for key, of_other in others:
        same = (np.array_equal(getattr(of_first, name), getattr(of_other, name)) for name in ("labels", "groups"))
        if not all(same):
            raise UserError(
                f"{results.folder}/utility/{dataset}: {'/'.join(first)} and {'/'.join(key)} were tested on different"
                " images, so they come from different versions of the dataset; remove this folder and run again"
            )
