"""Scores of a classifier against scikit-learn's own, computed another way, and against cases done by hand."""

from unittest.mock import patch

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    multilabel_confusion_matrix,
    precision_score,
    roc_auc_score,
)

from medbench.core import metrics
from medbench.core.errors import UserError
from medbench.utility import scores as scores_module
from medbench.utility.metrics.classification import quadratic_kappa
from medbench.utility.scores import macro_auroc, score_rows, val_thresholds

CLASSES = ["normal", "benign", "malignant"]


def noisy(n: int, n_classes: int, seed: int = 0, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and float32 probabilities that know something of them; `steps`: rounded, so that many are tied."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(n_classes, size=n)
    scores = rng.dirichlet(np.ones(n_classes), n) + 0.4 * np.eye(n_classes)[labels]
    scores = scores / scores.sum(axis=1, keepdims=True)
    return labels, (np.round(scores * steps) / steps if steps else scores).astype(np.float32)


def binary(class_1: list[float]) -> np.ndarray:
    return np.stack([1 - np.array(class_1), class_1], axis=1).astype(np.float32)


def values(labels, scores, thresholds, classes) -> dict:
    rows = score_rows(labels, scores, thresholds, classes)
    by_name = {(row["metric"], row["class"]): row["value"] for row in rows}
    assert len(by_name) == len(rows)
    return by_name


@pytest.mark.parametrize(
    ("labels", "class_1", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.3, 0.4, 0.8], 0.35),  # separable: the middle of the gap
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.6),  # J = 1/2 at 0.8 and at 0.35: (0.8 + 0.4) / 2 is nearer 0.5
        ([0, 1, 1, 1], [0.9, 0.6, 0.7, 0.8], 0.3),  # upside down: J ≤ 0 but for all or none; (0 + 0.6) / 2 is nearer
        ([0, 1, 0, 1], [0.2, 0.2, 0.2, 0.2], 0.6),  # says nothing: none, (0.2 + 1) / 2, is nearer than all, 0.1
    ],
)
def test_thresholds_by_hand(labels, class_1, expected):
    thresholds = val_thresholds(np.array(labels), binary(class_1))
    assert thresholds == pytest.approx([1 - expected, expected], abs=1e-6)  # scores are float32


@pytest.mark.parametrize(("n_classes", "steps"), [(2, None), (2, 10), (3, None), (3, 10)])
def test_no_threshold_has_a_higher_youden_j(n_classes, steps):
    labels, scores = noisy(80, n_classes, steps=steps)
    thresholds = val_thresholds(labels, scores)
    for k in range(n_classes):
        positive, of_class = labels == k, scores[:, k].astype(float)
        j = {t: np.mean(of_class[positive] >= t) + np.mean(of_class[~positive] < t) for t in [*of_class, 1.1]}
        chosen = np.mean(of_class[positive] >= thresholds[k]) + np.mean(of_class[~positive] < thresholds[k])
        assert chosen == pytest.approx(max(j.values()))
        assert not np.isin(thresholds[k], of_class)


def test_a_threshold_fits_between_neighbouring_float32_scores():
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    scores = np.stack([1 - np.array([low, high]), np.array([low, high])], axis=1)
    assert low < val_thresholds(np.array([0, 1]), scores)[1] < high


def test_a_class_absent_from_val_is_decided_at_a_half():
    labels, scores = noisy(60, 3)
    labels[labels == 1] = 2
    thresholds = val_thresholds(labels, scores)
    assert thresholds[1] == 0.5
    assert np.isfinite(thresholds).all()


def test_two_classes_equal_sklearn():
    labels, scores = noisy(300, 2, steps=20)
    thresholds = np.array([0.4, 0.6])
    by_name = values(labels, scores, thresholds, ["normal", "ill"])
    predicted = scores.argmax(axis=1)
    tn, fp, fn, tp = confusion_matrix(labels, scores[:, 1].astype(float) >= 0.6).ravel()
    expected = {
        ("auroc", None): roc_auc_score(labels, scores[:, 1]),
        ("accuracy", None): accuracy_score(labels, predicted),
        ("balanced_accuracy", None): balanced_accuracy_score(labels, predicted),
        ("macro_f1", None): f1_score(labels, predicted, average="macro"),
        ("sensitivity", None): tp / (tp + fn),
        ("specificity", None): tn / (tn + fp),
        ("auroc", "normal"): roc_auc_score(1 - labels, scores[:, 0]),
        ("sensitivity", "normal"): tn / (tn + fp),
        ("specificity", "normal"): tp / (tp + fn),
        ("f1", "normal"): f1_score(labels, predicted, pos_label=0),
        ("threshold", "normal"): 0.4,
        ("auroc", "ill"): roc_auc_score(labels, scores[:, 1]),
        ("sensitivity", "ill"): tp / (tp + fn),
        ("specificity", "ill"): tn / (tn + fp),
        ("f1", "ill"): f1_score(labels, predicted),
        ("threshold", "ill"): 0.6,
    }
    assert by_name == pytest.approx(expected)
    assert list(by_name) == list(expected)  # the order of the rows


def test_three_classes_equal_sklearn():
    labels, scores = noisy(300, 3, steps=20)
    thresholds = np.array([0.33, 0.41, 0.52])
    by_name = values(labels, scores, thresholds, CLASSES)
    predicted = scores.argmax(axis=1)
    (tn, fp), (fn, tp) = multilabel_confusion_matrix(np.eye(3)[labels], scores >= thresholds).transpose(1, 2, 0)
    of_all = {
        "auroc": roc_auc_score(labels, scores / scores.sum(axis=1, keepdims=True), multi_class="ovr"),
        "accuracy": accuracy_score(labels, predicted),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "sensitivity": np.mean(tp / (tp + fn)),
        "specificity": np.mean(tn / (tn + fp)),
    }
    # roc_auc_score wants rows that sum to 1, which rounding to twentieths undid; undoing that moved ranks a little.
    assert {metric: by_name[metric, None] for metric in of_all} == pytest.approx(of_all, abs=5e-3)
    f1 = f1_score(labels, predicted, average=None)
    for k, name in enumerate(CLASSES):
        assert by_name["auroc", name] == pytest.approx(roc_auc_score(labels == k, scores[:, k]))
        assert by_name["sensitivity", name] == pytest.approx(tp[k] / (tp + fn)[k])
        assert by_name["specificity", name] == pytest.approx(tn[k] / (tn + fp)[k])
        assert by_name["f1", name] == pytest.approx(f1[k])
        assert by_name["threshold", name] == thresholds[k]


@pytest.mark.filterwarnings("error")
def test_an_absent_class_is_a_gap_and_not_a_zero():
    """Two classes by hand, with a third that is predicted once and has no image."""
    labels = np.array([0, 0, 2, 2])
    scores = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.6, 0.1, 0.3]])
    by_name = values(labels, scores, np.array([0.5, 0.5, 0.25]), CLASSES)
    assert {metric for metric, name in by_name if name == "benign"} == {"specificity", "threshold"}
    assert by_name["specificity", "benign"] == 0.75
    assert by_name["auroc", "normal"] == 0.75  # 0.8 beats 0.1 and 0.6; 0.2 beats 0.1
    assert by_name["auroc", "malignant"] == 0.875  # 0.7 beats both; 0.3 beats 0.1 and ties 0.3
    expected = {
        "auroc": (0.75 + 0.875) / 2,
        "accuracy": 0.5,
        "balanced_accuracy": (1 / 2 + 1 / 2) / 2,
        "macro_f1": (1 / 2 + 2 / 3) / 2,
        "sensitivity": (1 / 2 + 1) / 2,
        "specificity": (1 / 2 + 1 / 2) / 2,
    }
    assert {metric: by_name[metric, None] for metric in expected} == pytest.approx(expected)
    assert macro_auroc(labels, scores) == by_name["auroc", None]


def test_both_classes_of_two_describe_one_decision():
    """In float32 a probability of 1 stands beside many that are not 0: 1 − p is no mirror of p."""
    labels, logits = np.arange(400) % 2, np.random.RandomState(0).normal(17, 1, 400)
    scores = np.stack([1 / (1 + np.exp(logits)), 1 / (1 + np.exp(-logits))], axis=1).astype(np.float32)
    assert len(np.unique(scores[:, 0])) > 2 * len(np.unique(scores[:, 1]))
    by_name = values(labels, scores, val_thresholds(labels, scores), ["normal", "ill"])
    assert 0 < by_name["sensitivity", "ill"] < 1
    assert by_name["sensitivity", "normal"] == pytest.approx(by_name["specificity", "ill"], abs=1e-12)
    assert by_name["specificity", "normal"] == pytest.approx(by_name["sensitivity", "ill"], abs=1e-12)


def chosen(classes: list[int], n_classes: int) -> np.ndarray:
    """Scores whose most probable classes are these."""
    return 0.1 + 0.5 * np.eye(n_classes)[classes]


def test_quadratic_kappa_by_hand():
    """Of grades 0, 0, 1, 2 called 0, 1, 1, 0, squared distances are 0, 1, 0, 4: 5 / 4 on average.

    By chance every grade meets every call: 2 · (0 + 1 + 1 + 0) + (1 + 0 + 0 + 1) + (4 + 1 + 1 + 4) = 16 over 16 pairs.
    """
    labels = np.array([0, 0, 1, 2])
    assert quadratic_kappa(labels, chosen([0, 1, 1, 0], 3)) == pytest.approx(1 - (5 / 4) / (16 / 16))
    assert quadratic_kappa(labels, chosen([0, 0, 1, 2], 3)) == 1
    assert quadratic_kappa(labels, chosen([1, 1, 1, 1], 3)) == pytest.approx(0)


@pytest.mark.parametrize(
    ("labels", "called"),
    [
        ([0, 0, 1, 4], [0, 1, 4, 4]),  # of five: 1 and 4, neighbours here, are nine times as far apart as 0 and 1
        (noisy(200, 5)[0], noisy(200, 5)[1].argmax(axis=1)),
    ],
)
def test_quadratic_kappa_is_one_minus_observed_over_expected(labels, called):
    distance = np.subtract.outer(labels, called) ** 2
    expected = 1 - np.diag(distance).mean() / distance.mean()
    assert quadratic_kappa(np.array(labels), chosen(called, 5)) == pytest.approx(expected)


@pytest.mark.parametrize("computed", ["macro_auroc", "grade_rows", "val_thresholds", "score_rows"])
def test_what_no_score_can_be_taken_of_is_refused(computed):
    labels, scores = noisy(50, 2)
    more = [np.array([0.5, 0.5]), ["normal", "ill"]] if computed == "score_rows" else []
    for broken in (np.nan, np.inf):
        diverged = scores.copy()
        diverged[[3, 7], 1] = broken
        with pytest.raises(UserError, match=r"2 of 50 images are NaN or infinite.*learning_rate"):
            getattr(scores_module, computed)(labels, diverged, *more)
    with pytest.raises(UserError, match=r"all 50 labels are of one class; AUROC needs two classes"):
        getattr(scores_module, computed)(np.ones(50, int), scores, *more)


def test_a_metric_that_is_registered_comes_out_for_all_classes_or_for_each():
    with patch.dict(metrics.REGISTERED):

        @metrics.metric("brier", better="lower", digits=3, needs=("labels", "scores"), source="Brier 1950")
        def brier(labels, scores):
            return float(np.square(scores - np.eye(scores.shape[1])[labels]).sum(axis=1).mean())

        @metrics.metric("precision", better="higher", digits=3, needs=("positive", "chosen"), source="x", mean=True)
        def precision(positive, chosen):
            return float(positive[chosen].mean())

        labels, scores = noisy(300, 3)
        by_name = values(labels, scores, np.full(3, 0.5), CLASSES)
    assert by_name["brier", None] == pytest.approx(brier_score_loss(labels, scores, scale_by_half=False), rel=1e-6)
    by_class = precision_score(labels, scores.argmax(axis=1), average=None)
    assert [by_name["precision", name] for name in CLASSES] == pytest.approx(by_class)
    assert by_name["precision", None] == pytest.approx(np.mean(by_class))
    assert "brier" not in {metric for metric, _ in values(labels, scores, np.full(3, 0.5), CLASSES)}
