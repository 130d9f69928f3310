"""What a classifier's probabilities on one split are worth: AUROC, accuracy, F1, sensitivity, specificity, kappa."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score, roc_auc_score, roc_curve

from medbench.core.errors import UserError

NO_THRESHOLD = 0.5  # of a class that val does not show
ORDINAL = "ordinal-regression"  # the task, on a card, of classes that have an order


def val_thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """One-vs-rest thresholds on the probability that maximise Youden's J = sensitivity + specificity − 1.

    Each lies midway between two neighbouring scores (0 and 1 count as scores), so that it is no image's own. Of equal
    J, the one nearest 0.5. With two classes the threshold of class 0 is 1 minus that of class 1: one decision.

    Args:
        labels: (N,) integer, of val.
        scores: (N, K) probabilities.

    Returns:
        (K,) float64; a class is decided on where its probability is at least that. 0.5 for a class absent from val.

    Raises:
        UserError: as `macro_auroc`.

    Source: Youden 1950.
    """
    _check(labels, scores)
    if scores.shape[1] == 2:
        threshold = _youden(labels == 1, scores[:, 1])
        return np.array([1 - threshold, threshold])
    present = set(labels.tolist())
    return np.array(
        [_youden(labels == k, scores[:, k]) if k in present else NO_THRESHOLD for k in range(scores.shape[1])]
    )


def classification_metrics(
    labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Every score of one classifier on one split, in long form.

    A class absent from `labels` has no auroc, sensitivity and f1, and no part in any mean over classes.

    Args:
        labels: (N,) integer.
        scores: (N, K) probabilities.
        thresholds: (K,) as from `val_thresholds`, used for sensitivity and specificity; the others decide by argmax.
        classes: K names.

    Returns:
        {"metric", "class", "value"}, all values between 0 and 1. Class None: auroc, sensitivity and specificity of
        class 1 where there are two classes, else means over classes; accuracy, balanced_accuracy (mean recall),
        macro_f1. A class: auroc, sensitivity, specificity, f1, threshold.

    Raises:
        UserError: as `macro_auroc`.
    """
    _check(labels, scores)
    decided = _decided(scores, thresholds)
    by_class = [_class_metrics(labels, scores, decided, k) for k in range(len(classes))]
    rows = [_row(metric, None, value) for metric, value in _overall(labels, scores, by_class).items()]
    for name, values, threshold in zip(classes, by_class, thresholds, strict=True):
        rows += [_row(metric, name, value) for metric, value in (values | {"threshold": threshold}).items()]
    return rows


def macro_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """AUROC of class 1 where there are two classes, else the mean of one-vs-rest AUROC over the classes in `labels`.

    Args:
        labels: (N,) integer.
        scores: (N, K), higher for more likely.

    Raises:
        UserError: a score is not finite, or `labels` holds one class only.
    """
    _check(labels, scores)
    return float(np.mean([roc_auc_score(labels == k, scores[:, k]) for k in scored_classes(labels, scores.shape[1])]))


def quadratic_kappa(labels: np.ndarray, scores: np.ndarray) -> float:
    """Cohen's kappa of the most probable class, whose disagreements weigh by the square of their distance in steps.

    Args:
        labels: (N,) integer, of classes in their order.
        scores: (N, K) probabilities.

    Returns:
        1 for agreement, 0 for as much as by chance, negative for less.

    Raises:
        UserError: as `macro_auroc`.

    Source: Cohen 1968.
    """
    _check(labels, scores)
    steps = np.arange(scores.shape[1])  # all of them: a class that nobody names still lies between its neighbours
    return float(cohen_kappa_score(labels, scores.argmax(axis=1), labels=steps, weights="quadratic"))


def scored_classes(labels: np.ndarray, n_classes: int) -> list[int]:
    """The classes over which AUROC is averaged: 1 of two, else those present, ascending."""
    return [1] if n_classes == 2 else np.unique(labels).tolist()


def _youden(positive: np.ndarray, scores: np.ndarray) -> float:
    fpr, tpr, cuts = roc_curve(positive, scores, drop_intermediate=False)
    # In float64, because halfway between neighbouring float32 numbers lies none. cuts[0] is infinite: no image at all.
    edges = np.concatenate([[1.0], cuts[1:], [0.0]], dtype=np.float64)
    midway = (edges[:-1] + edges[1:]) / 2
    j = tpr - fpr
    best = midway[j >= j.max() - 1e-12]  # equal J differ by rounding; unequal ones by at least 1 / N²
    return float(best[np.argmin(np.abs(best - 0.5))])


def _decided(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(N, K) whether each class is decided on, one against the rest."""
    decided = scores >= np.asarray(thresholds, np.float64)
    if scores.shape[1] == 2:
        decided[:, 0] = ~decided[:, 1]  # two float32 probabilities need not sum to exactly 1
    return decided


def _class_metrics(labels: np.ndarray, scores: np.ndarray, decided: np.ndarray, k: int) -> dict[str, float]:
    positive = labels == k
    specificity = {"specificity": 1 - decided[~positive, k].mean()}
    if not positive.any():
        return specificity
    return {
        "auroc": roc_auc_score(positive, scores[:, k]),
        "sensitivity": decided[positive, k].mean(),
        **specificity,
        "f1": f1_score(positive, scores.argmax(axis=1) == k),
    }


def _overall(labels: np.ndarray, scores: np.ndarray, by_class: Sequence[dict[str, float]]) -> dict[str, float]:
    present, predicted = np.unique(labels), scores.argmax(axis=1)
    averaged = [by_class[k] for k in scored_classes(labels, scores.shape[1])]
    return {
        "auroc": macro_auroc(labels, scores),
        "accuracy": accuracy_score(labels, predicted),
        # balanced_accuracy_score is this mean, but warns of a predicted class that `labels` does not show.
        "balanced_accuracy": recall_score(labels, predicted, labels=present, average="macro"),
        "macro_f1": f1_score(labels, predicted, labels=present, average="macro"),
        "sensitivity": np.mean([values["sensitivity"] for values in averaged]),
        "specificity": np.mean([values["specificity"] for values in averaged]),
    }


def _row(metric: str, name: str | None, value: float) -> dict[str, Any]:
    return {"metric": metric, "class": name, "value": float(value)}


def _check(labels: np.ndarray, scores: np.ndarray) -> None:
    broken = int((~np.isfinite(scores)).any(axis=1).sum())
    if broken:
        raise UserError(
            f"scores of {broken} of {len(scores)} images are NaN or infinite: the classifier diverged;"
            " lower utility.learning_rate"
        )
    if len(np.unique(labels)) < 2:
        raise UserError(f"all {len(labels)} labels are of one class; AUROC needs two classes")
