"""The two-way bootstrap against scikit-learn on repeated rows, closed forms, and intervals whose coverage is known."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from medbench.core.rng import numpy_rng
from medbench.utility.intervals import (
    CHUNK,
    NULL_RATES,
    auroc_draws,
    difference_interval,
    image_draws,
    image_weights,
    percentile_interval,
    weighted_auroc,
    weights_per_seed,
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
    weights = weights_per_seed(3, 2000, numpy_rng(0))
    assert weights.shape == (2000, 3)
    assert (weights.sum(axis=1) == 3).all()
    # (2/3)³ = 0.296 leave a seed out; 0.04 is four deviations of 2000 draws
    assert (weights[:, 0] == 0).mean() == pytest.approx(8 / 27, abs=0.04)
    assert (weights_per_seed(1, 10, numpy_rng(0)) == 1).all()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_draws_equal_rows_and_columns_repeated(n_classes):
    rng = np.random.RandomState(0)
    labels, scores = np.arange(40) % n_classes, rng.dirichlet(np.ones(n_classes), (4, 40)).astype(np.float32)
    runs, images = weights_per_seed(4, 30, rng), image_weights(labels, np.arange(40), 30, rng)
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
    runs = weights_per_seed(2, 500, numpy_rng(0))
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


NOTHING = np.zeros((3, 50))  # draws in which images move no difference


def shared(deviation: float, seeds: int = 3) -> np.ndarray:
    """Draws that move the difference of every seed alike, with exactly this deviation (N − 1)."""
    draws = np.random.RandomState(0).standard_normal(400)
    return np.tile(deviation * (draws - draws.mean()) / draws.std(ddof=1), (seeds, 1))


def half_width(differences, draws, **options) -> float:
    low, high = difference_interval(np.array(differences, float), draws, **options)
    assert (low + high) / 2 == pytest.approx(np.mean(differences))
    return (high - low) / 2


def test_without_an_effect_of_images_it_is_the_paired_t_interval():
    differences = [0.03, 0.01, 0.08]
    expected = student_t.interval(0.95, 2, np.mean(differences), np.std(differences, ddof=1) / np.sqrt(3))
    assert difference_interval(np.array([differences]), NOTHING) == pytest.approx(expected)
    narrow = student_t.interval(0.5, 2, np.mean(differences), np.std(differences, ddof=1) / np.sqrt(3))
    assert difference_interval(np.array([differences]), NOTHING, level=0.5) == pytest.approx(narrow)


def test_where_seeds_agree_it_is_the_normal_interval_of_the_images():
    assert half_width([[0.02] * 3] * 2, shared(0.01)) == pytest.approx(norm.ppf(0.975) * 0.01)


def test_degrees_of_freedom_are_those_of_hillis():
    """Of his ANOVA: MS(T×R) = var / 2, ddf_H = (MS + R max(Cov2 − Cov3, 0))² / (MS² / (R − 1)), SE² = 2 (...) / R."""
    differences, covariance = np.array([0.03, 0.01, 0.08, 0.05]), 0.02**2 / 2
    mean_square = differences.var(ddof=1) / 2
    denominator = mean_square + 4 * covariance
    freedom = denominator**2 / (mean_square**2 / 3)
    expected = student_t.ppf(0.975, freedom) * np.sqrt(2 * denominator / 4)
    assert half_width([differences], shared(0.02, seeds=4)) == pytest.approx(expected)


def test_generator_seeds_add_their_part():
    """Rows differ by 0.06, columns by nothing: a t-interval of two generators, with one degree of freedom."""
    assert half_width([[0.0] * 3, [0.06] * 3], NOTHING) == pytest.approx(student_t.ppf(0.975, 1) * 0.03)
    both = 0.03**2 + 0.02**2 / 3  # 0.0, 0.02, 0.04 from one classifier seed to the next
    freedom = both**2 / (0.03**4 / 1 + (0.02**2 / 3) ** 2 / 2)
    expected = student_t.ppf(0.975, freedom) * np.sqrt(both)
    assert half_width([[0.0, 0.02, 0.04], [0.06, 0.08, 0.1]], NOTHING) == pytest.approx(expected)


def test_what_images_do_to_one_seed_alone_is_not_counted_twice():
    """It already moves that seed's difference; only what they do to all seeds at once adds to the error."""
    alone = np.kron(np.eye(3), np.array([1, -1]))  # uncorrelated: covariances of exactly 0
    assert half_width([[0.03, 0.01, 0.08]], alone) == pytest.approx(half_width([[0.03, 0.01, 0.08]], NOTHING))
    opposed = np.array([[1, -1], [-1, 1], [1, -1]])  # on average a negative covariance, which no variance can be
    assert half_width([[0.03, 0.01, 0.08]], opposed) == pytest.approx(half_width([[0.03, 0.01, 0.08]], NOTHING))


def test_arms_that_agree_in_every_run_and_draw_differ_by_exactly_nothing():
    assert difference_interval(np.zeros((2, 3)), NOTHING) == (0, 0)


def test_one_classifier_seed_gives_no_interval():
    assert np.isnan(difference_interval(np.array([[0.1], [0.2]]), np.zeros((1, 50)))).all()


def test_draws_without_a_class_are_left_out():
    draws = shared(0.01)
    broken = np.concatenate([draws, np.full((3, 7), np.nan)], axis=1)
    differences = np.array([[0.03, 0.01, 0.08]])
    assert difference_interval(differences, broken) == difference_interval(differences, draws)
    assert np.isnan(difference_interval(differences, draws * np.nan)).all()  # and never as if images moved nothing


# Where nothing is different --------------------------------------------------------------------------------------

LABELS = np.arange(60) % 2
TRIALS, DRAWS = 1000, 150
# deviations of: a generator seed, a classifier seed, an image in an arm (all seeds of it), an image in a run
REGIMES = {
    "runs": (0.0, 0.6, 0.1, 0.3),
    "images": (0.0, 0.0, 1.0, 0.3),
    "both": (0.0, 0.3, 0.8, 0.3),
    "generators": (0.4, 0.4, 0.5, 0.3),
}


def aurocs(
    strength: np.ndarray, hardness: np.ndarray, of_run: float, weights: np.ndarray, rng
) -> tuple[np.ndarray, ...]:
    """AUROC (R,) and its draws (R, B) of runs that raise an image of class 1 by their strength (R,)."""
    positive = strength[:, None] * LABELS + hardness + of_run * rng.standard_normal((len(strength), len(LABELS)))
    as_they_are = np.ones((1, len(LABELS)))
    draws = image_draws(LABELS, np.stack([-positive, positive], axis=-1), np.concatenate([as_they_are, weights]))
    return draws[:, 0], draws[:, 1:]


def null_interval(regime: str, generators: int, weights: np.ndarray, rng) -> tuple[float, float]:
    """Of an arm and a control whose AUROC have the same distribution, with 3 classifier seeds."""
    of_generator, of_classifier, of_image, of_run = REGIMES[regime]
    image = rng.standard_normal(len(LABELS))
    arm, control = image + of_image * rng.standard_normal((2, len(LABELS)))
    strength = 1 + of_generator * rng.standard_normal((generators, 1)) + of_classifier * rng.standard_normal(3)
    values, draws = aurocs(strength.ravel(), arm, of_run, weights, rng)
    against, its_draws = aurocs(
        1 + np.hypot(of_generator, of_classifier) * rng.standard_normal(3), control, of_run, weights, rng
    )
    of_images = draws.reshape(generators, 3, -1).mean(axis=0) - its_draws
    return difference_interval(values.reshape(generators, 3) - against, of_images)


@pytest.mark.parametrize(("regime", "generators"), [("runs", 1), ("images", 1), ("both", 1), ("generators", 3)])
def test_where_nothing_is_different_about_one_in_twenty_leaves_out_0(regime, generators):
    rng = np.random.RandomState(0)
    pool = image_weights(LABELS, np.arange(len(LABELS)), 10 * DRAWS, rng)  # drawing them anew costs more than the rest
    wrong = 0
    for _ in range(TRIALS):
        low, high = null_interval(regime, generators, pool[rng.randint(len(pool), size=DRAWS)], rng)
        wrong += low > 0 or high < 0
    deviation = np.sqrt(0.05 * 0.95 / TRIALS)
    assert 0.005 < wrong / TRIALS < 0.05 + 3 * deviation  # the percentile bootstrap: 0.20 where runs dominate


def test_arms_on_two_sets_of_images_are_compared_as_surely():
    """Draws of images that are independent of each other add their variances."""
    rng, trials, wrong = np.random.RandomState(0), 400, 0
    _, of_classifier, of_image, of_run = REGIMES["both"]
    pools = [image_weights(LABELS, np.arange(len(LABELS)), 10 * DRAWS, rng) for _ in range(2)]
    for _ in range(trials):
        means, draws = [], []
        for pool in pools:
            images = np.hypot(1, of_image) * rng.standard_normal(len(LABELS))
            strength = 1 + of_classifier * rng.standard_normal(3)
            arm = aurocs(strength, images, of_run, pool[rng.randint(len(pool), size=DRAWS)], rng)
            means.append(arm[0])
            draws.append(arm[1])
        low, high = difference_interval((means[0] - means[1])[None], draws[0] - draws[1])
        wrong += low > 0 or high < 0
    assert 0.005 < wrong / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(("seeds", "per_cent"), NULL_RATES.items())
def test_the_rate_with_few_seeds_is_the_one_stated(seeds, per_cent):
    """At its worst, images add a tenth of what runs do, and normal differences are all that the formula needs."""
    rng, trials, wrong = np.random.RandomState(0), 4000, 0
    of_images = np.sqrt(0.1 / seeds)
    draws = shared(of_images, seeds)
    for _ in range(trials):
        low, high = difference_interval(rng.standard_normal((1, seeds)) + of_images * rng.standard_normal(), draws)
        wrong += low > 0 or high < 0
    rate = per_cent / 100
    # Three deviations of the trials, and the rounding to whole per cent.
    assert wrong / trials == pytest.approx(rate, abs=3 * np.sqrt(rate * (1 - rate) / trials) + 0.005)
