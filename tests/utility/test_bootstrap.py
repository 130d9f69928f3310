"""The two-way bootstrap against scikit-learn on repeated rows, closed forms, and intervals whose coverage is known."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from medbench.core.rng import numpy_rng
from medbench.utility.intervals import (
    CHUNK,
    auroc_draws,
    image_draws,
    image_weights,
    percentile_interval,
    seed_weights,
    weighted_auroc,
)


def tied(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and float32 scores in eighths: most are tied."""
    rng = np.random.RandomState(seed)
    positive = rng.rand(n) < 0.3
    return positive, (np.round(8 * (rng.rand(n) + 0.3 * positive)) / 8).astype(np.float32)


@pytest.mark.parametrize("whole", [True, False], ids=["counts", "real weights"])
def test_weighted_auroc_equals_sklearn(whole):
    positive, scores = tied(150)
    rng = np.random.RandomState(1)
    weights = rng.randint(0, 4, (20, 150)) if whole else rng.exponential(size=(20, 150))
    expected = [roc_auc_score(positive, scores, sample_weight=row) for row in weights]
    # sums of 150 products in float64
    np.testing.assert_allclose(weighted_auroc(positive, scores, weights), expected, rtol=1e-12)


def test_weighted_auroc_by_hand():
    """Positives 2, 3 against negatives 1, 2, 2: (1 + ½ + ½ + 3) / 6; with the tied one twice (2 + 2 + 3) / 9."""
    positive = np.array([True, False, False, True, False])
    scores = np.array([2.0, 2.0, 1.0, 3.0, 2.0])
    weights = np.array([[1, 1, 1, 1, 1], [2, 1, 1, 1, 1], [1, 0, 0, 1, 0], [0, 1, 1, 0, 1]])
    np.testing.assert_array_equal(weighted_auroc(positive, scores, weights), [5 / 6, 7 / 9, np.nan, np.nan])


def test_draws_do_not_depend_on_the_chunks_they_are_computed_in():
    positive, scores = tied(50_000)
    weights = np.random.RandomState(0).randint(0, 3, (2 * CHUNK // 50_000 + 1, 50_000), dtype=np.int32)
    together = weighted_auroc(positive, scores, weights)
    alone = [weighted_auroc(positive, scores, row[None])[0] for row in weights]
    np.testing.assert_array_equal(together, alone)


def test_groups_stay_whole_and_classes_keep_their_number_of_groups():
    groups = np.repeat(np.arange(60), np.random.RandomState(0).randint(1, 5, 60))
    labels = groups % 3
    labels[np.flatnonzero(groups == 6)[1:]] = 2  # a patient of two classes belongs to that of the first image, 0
    shuffled = np.random.RandomState(1).permutation(len(groups))
    shuffled = shuffled[np.argsort(labels[shuffled] == 2, kind="stable")]
    groups, labels = groups[shuffled], labels[shuffled]
    weights = image_weights(labels, groups, 40, numpy_rng(0))
    names, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(weights, weights[:, first][:, group_of])
    for k in range(3):
        assert (weights[:, first[names % 3 == k]].sum(axis=1) == 20).all()
    assert len(np.unique(weights, axis=0)) == 40


def test_a_class_keeps_its_images_where_each_is_its_own_group():
    labels = np.array([0] * 30 + [1] * 7 + [2])
    weights = image_weights(labels, np.arange(38)[::-1], 50, numpy_rng(0))
    for k, n in enumerate((30, 7, 1)):
        assert (weights[:, labels == k].sum(axis=1) == n).all()
    # A count is binomial(30, 1 / 30): mean 1, variance 29 / 30; 1500 of them have it within 0.15 (four deviations).
    assert weights[:, labels == 0].var() == pytest.approx(29 / 30, abs=0.15)


def test_the_first_draws_stay_when_more_are_asked_for():
    labels, groups = np.arange(20) % 2, np.arange(20)
    few, many = (image_weights(labels, groups, draws, numpy_rng(3, "images")) for draws in (5, 9))
    np.testing.assert_array_equal(few, many[:5])


def test_seed_weights_are_resamples():
    weights = seed_weights(3, 2000, numpy_rng(0))
    assert weights.shape == (2000, 3)
    assert (weights.sum(axis=1) == 3).all()
    # (2/3)³ = 0.296 leave a seed out; 0.04 is four deviations of 2000 draws
    assert (weights[:, 0] == 0).mean() == pytest.approx(8 / 27, abs=0.04)
    assert (seed_weights(1, 10, numpy_rng(0)) == 1).all()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_draws_equal_rows_and_columns_repeated(n_classes):
    rng = np.random.RandomState(0)
    labels, scores = np.arange(40) % n_classes, rng.dirichlet(np.ones(n_classes), (4, 40)).astype(np.float32)
    runs, images = seed_weights(4, 30, rng), image_weights(labels, np.arange(40), 30, rng)
    expected, classes = [], [1] if n_classes == 2 else [0, 1, 2]
    for of_runs, of_images in zip(runs, images, strict=True):
        rows = np.repeat(np.arange(40), of_images)
        aurocs = [
            np.mean([roc_auc_score(labels[rows] == k, scores[run, rows, k]) for k in classes])
            for run in np.repeat(np.arange(4), of_runs)
        ]
        expected.append(np.mean(aurocs))
    np.testing.assert_allclose(auroc_draws(image_draws(labels, scores, images), runs), expected, rtol=1e-12)


def test_a_draw_without_a_run_is_not_a_number():
    labels = np.arange(6) % 2
    scores = np.stack([1 - labels, labels], axis=1)[None].astype(np.float32)
    draws = auroc_draws(image_draws(labels, scores, np.ones((3, 6), int)), np.array([[1], [0], [2]]))
    np.testing.assert_array_equal(draws, [1, np.nan, 1])


def test_runs_move_the_mean_where_images_cannot():
    """One run ranks perfectly, one upside down: any images give 1 and 0, and the draws are the share of the first."""
    labels = np.arange(20) % 2
    right = np.stack([1 - labels, labels], axis=1)
    runs = seed_weights(2, 500, numpy_rng(0))
    images = image_weights(labels, np.arange(20), 500, numpy_rng(1))
    draws = auroc_draws(image_draws(labels, np.stack([right, right[:, ::-1]]), images), runs)
    np.testing.assert_array_equal(draws, runs[:, 0] / 2)


def test_percentile_interval():
    draws = np.append(np.arange(1001.0), [np.nan] * 500)
    assert percentile_interval(draws) == pytest.approx((25, 975))
    assert percentile_interval(draws, level=0.5) == pytest.approx((250, 750))
    assert np.isnan(percentile_interval(np.full(3, np.nan))).all()


def binormal(n: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 2
    scores = rng.normal(labels)  # one deviation apart: AUROC Φ(1 / √2) = 0.760
    return labels, np.stack([-scores, scores], axis=1)


def delong_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Standard error of one AUROC: DeLong et al. 1988, from the share of opponents that each image beats."""
    wins = scores[labels == 1][:, None] > scores[labels == 0]
    by_positive, by_negative = wins.mean(axis=1), wins.mean(axis=0)
    return np.sqrt(by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative))


def interval(labels, scores, groups, draws, rng) -> tuple[float, float]:
    images = image_weights(labels, groups, draws, rng)
    return percentile_interval(image_draws(labels, scores, images).mean(axis=0))


@pytest.mark.parametrize("seed", range(3))
def test_one_run_has_delongs_interval(seed):
    labels, scores = binormal(400, np.random.RandomState(seed))
    low, high = interval(labels, scores[None], np.arange(400), 1000, numpy_rng(seed))
    # 1000 draws place a 95 % bound to about 4 % of the deviation; the percentile interval need not be symmetric.
    assert (high - low) / 2 == pytest.approx(1.96 * delong_error(labels, scores[:, 1]), rel=0.12)


def test_patients_with_several_images_widen_the_interval():
    """Four copies of each image carry no more information than one; taken for four patients, half the width is lost."""
    labels, scores = binormal(100, np.random.RandomState(0))
    patients = np.arange(400) // 4
    grouped, single = (
        np.diff(interval(labels[patients], scores[None, patients], groups, 1000, numpy_rng(0)))[0]
        for groups in (patients, np.arange(400))
    )
    assert grouped == pytest.approx(np.diff(interval(labels, scores[None], np.arange(100), 1000, numpy_rng(0)))[0])
    assert grouped / single == pytest.approx(2, rel=0.12)  # as above, for two intervals


def test_coverage():
    """The interval holds the true AUROC nearly as often as it says."""
    truth, rng, held = norm.cdf(1 / np.sqrt(2)), np.random.RandomState(0), 0
    for _ in range(200):
        labels, scores = binormal(100, rng)
        low, high = interval(labels, scores[None], np.arange(100), 200, rng)
        held += low <= truth <= high
    # 95 % less a little for the percentile bootstrap on 100 images; 0.03 is two deviations of 200 trials.
    assert held / 200 == pytest.approx(0.94, abs=0.03)
