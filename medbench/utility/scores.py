"""What a classifier's probabilities on one split are worth: thresholds chosen on val, and every registered metric."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from medbench.core.errors import UserError
from medbench.core.metrics import OF_ONE_CLASS, computable, register_all
from medbench.utility import metrics
from medbench.utility.metrics.classification import auroc

NO_THRESHOLD = 0.5  # of a class that val does not show
ORDINAL = "ordinal-regression"  # the task, on a card, of classes that have an order


def macro_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """AUROC of class 1 where there are two classes, else the mean of one-vs-rest AUROC over the classes in `labels`.

    Raises:
        UserError: a score (N, K) is not finite, or `labels` (N,) holds one class only.
    """
    _check(labels, scores)
    return float(np.mean([auroc(labels == k, scores[:, k]) for k in scored_classes(labels, scores.shape[1])]))


def scored_classes(labels: np.ndarray, n_classes: int) -> list[int]:
    """The classes that means are taken over: 1 of two, else those present, ascending."""
    return [1] if n_classes == 2 else np.unique(labels).tolist()


def score_rows(
    labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Every metric of one classifier on one split, in long form: what is registered, and each class's threshold.

    Those of one class decide by thresholds (K,) as from `val_thresholds`, the others by the largest of K scores. Class
    None: of all classes, or a mean as in `scored_classes`. A class absent from `labels` has no metric that needs images
    of it, and no part in any mean.

    Raises:
        UserError: as `macro_auroc`.
    """
    _check(labels, scores)
    register_all(metrics.__name__)
    by_class = [_of_class(labels, scores, thresholds, k) for k in range(len(classes))]
    averaged = [by_class[k] for k in scored_classes(labels, len(classes))]
    of_all: dict[str, float] = {}
    given = {"labels": labels, "scores": scores, "predicted": scores.argmax(axis=1)}
    for metric in computable({*given, *OF_ONE_CLASS}):
        if set(metric.needs) <= set(given):
            of_all[metric.name] = metric.of(given)
        elif metric.mean:
            of_all[metric.name] = float(np.mean([values[metric.name] for values in averaged]))
    rows = _rows(of_all, None)
    for name, values, threshold in zip(classes, by_class, thresholds, strict=True):
        rows += _rows(values | {"threshold": float(threshold)}, name)
    return rows


def grade_rows(grades: np.ndarray, scores: np.ndarray, prefix: str = "") -> list[dict[str, Any]]:
    """The metrics that need classes with an order; grades (N,) integer, scores (N, K) probabilities.

    Raises:
        UserError: as `macro_auroc`.
    """
    _check(grades, scores)
    register_all(metrics.__name__)
    given = {"grades": grades, "scores": scores, "predicted": scores.argmax(axis=1)}
    return _rows({prefix + each.name: each.of(given) for each in computable(given) if "grades" in each.needs}, None)


def val_thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """One-vs-rest thresholds (K,) on the probability (N, K) that maximise Youden's J = sensitivity + specificity − 1.

    Each lies midway between two neighbouring scores (0 and 1 count as scores), so that it is no image's own; a class is
    decided on where its probability is at least that. Of equal J, the one nearest 0.5, which is also that of a class
    absent from val. With two classes the threshold of class 0 is 1 minus that of class 1: one decision.

    Raises:
        UserError: as `macro_auroc`.

    Source: Youden 1950.
    """
    _check(labels, scores)
    if scores.shape[1] == 2:
        threshold = _youden(labels == 1, scores[:, 1])
        return np.array([1 - threshold, threshold])
    thresholds = np.full(scores.shape[1], NO_THRESHOLD)
    for k in np.unique(labels):
        thresholds[k] = _youden(labels == k, scores[:, k])
    return thresholds


def _youden(positive: np.ndarray, scores: np.ndarray) -> float:
    fpr, tpr, cuts = roc_curve(positive, scores, drop_intermediate=False)
    # In float64, because halfway between neighbouring float32 numbers lies none. cuts[0] is infinite: no image at all.
    edges = np.concatenate([[1.0], cuts[1:], [0.0]], dtype=np.float64)
    midway = (edges[:-1] + edges[1:]) / 2
    j = tpr - fpr
    best = midway[j >= j.max() - 1e-12]  # equal J differ by rounding; unequal ones by at least 1 / N²
    return float(best[np.argmin(np.abs(best - 0.5))])


def _of_class(labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray, k: int) -> dict[str, float]:
    decided = scores >= np.asarray(thresholds, np.float64)
    if scores.shape[1] == 2:
        decided[:, 0] = ~decided[:, 1]  # two float32 probabilities need not sum to exactly 1
    positive, chosen = labels == k, scores.argmax(axis=1) == k
    given = {"negative": ~positive, "score": scores[:, k], "chosen": chosen, "decided": decided[:, k]}
    if positive.any():
        given["positive"] = positive
    return {metric.name: metric.of(given) for metric in computable(given)}


def _rows(values: Mapping[str, float], name: str | None) -> list[dict[str, Any]]:
    return [{"metric": metric, "class": name, "value": float(value)} for metric, value in values.items()]


def _check(labels: np.ndarray, scores: np.ndarray) -> None:
    broken = int((~np.isfinite(scores)).any(axis=1).sum())
    if broken:
        raise UserError(
            f"scores of {broken} of {len(scores)} images are NaN or infinite: the classifier diverged;"
            " lower utility.learning_rate"
        )
    if len(np.unique(labels)) < 2:
        raise UserError(f"all {len(labels)} labels are of one class; AUROC needs two classes")
