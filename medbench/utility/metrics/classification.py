"""The scores of a classifier on one split, all between 0 and 1 but for kappa."""

import numpy as np
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score, roc_auc_score

from medbench.core.metrics import metric


@metric("auroc", better="higher", digits=3, needs=("positive", "score"), source="Hanley and McNeil 1982", mean=True)
def auroc(positive: np.ndarray, score: np.ndarray) -> float:
    """Share of pairs of an image of the class and another in which the first has the higher score."""
    return float(roc_auc_score(positive, score))


@metric("accuracy", better="higher", digits=3, needs=("labels", "predicted"), source="Sokolova and Lapalme 2009")
def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of images whose most probable class is their own."""
    return float(accuracy_score(labels, predicted))


@metric("balanced_accuracy", better="higher", digits=3, needs=("labels", "predicted"), source="Brodersen et al. 2010")
def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over classes of the share of a class's images whose most probable class it is."""
    # balanced_accuracy_score is this mean, but warns of a predicted class that `labels` does not show.
    return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro"))


@metric("macro_f1", better="higher", digits=3, needs=("labels", "predicted"), source="Sokolova and Lapalme 2009")
def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of F1 over the classes that have images."""
    return float(f1_score(labels, predicted, labels=np.unique(labels), average="macro"))


@metric("sensitivity", better="higher", digits=3, needs=("positive", "decided"), source="Youden 1950", mean=True)
def sensitivity(positive: np.ndarray, decided: np.ndarray) -> float:
    """Share of the class's images whose probability reaches the threshold."""
    return float(decided[positive].mean())


@metric("specificity", better="higher", digits=3, needs=("negative", "decided"), source="Youden 1950", mean=True)
def specificity(negative: np.ndarray, decided: np.ndarray) -> float:
    """Share of the other images whose probability stays below the threshold."""
    return float(1 - decided[negative].mean())


@metric("f1", better="higher", digits=3, needs=("positive", "chosen"), source="Sokolova and Lapalme 2009")
def f1(positive: np.ndarray, chosen: np.ndarray) -> float:
    """Harmonic mean of precision and recall of one class, decided by the most probable class."""
    return float(f1_score(positive, chosen))


@metric("quadratic_kappa", better="higher", digits=3, needs=("grades", "scores"), source="Cohen 1968")
def quadratic_kappa(grades: np.ndarray, scores: np.ndarray) -> float:
    """Agreement of the most probable grade beyond chance; a disagreement weighs by the square of its distance.

    Args:
        grades: (N,) integer, of classes in their order.
        scores: (N, K) probabilities.

    Returns:
        1 for agreement, 0 for as much as by chance, negative for less.
    """
    steps = np.arange(scores.shape[1])  # all of them: a class that nobody names still lies between its neighbours
    return float(cohen_kappa_score(grades, scores.argmax(axis=1), labels=steps, weights="quadratic"))
