"""Intervals of differences: closed forms, and how often they leave out 0 where nothing is different."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t

from medbench.utility.intervals import NULL_RATES, difference_interval, image_draws, image_weights

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


def aurocs(strength: np.ndarray, hardness: np.ndarray, own: float, weights: np.ndarray, rng) -> tuple[np.ndarray, ...]:
    """AUROC (R,) and its draws (R, B) of runs that raise an image of class 1 by their strength (R,)."""
    positive = strength[:, None] * LABELS + hardness + own * rng.standard_normal((len(strength), len(LABELS)))
    as_they_are = np.ones((1, len(LABELS)))
    draws = image_draws(LABELS, np.stack([-positive, positive], axis=-1), np.concatenate([as_they_are, weights]))
    return draws[:, 0], draws[:, 1:]


def null_interval(regime: str, generators: int, weights: np.ndarray, rng) -> tuple[float, float]:
    """Of an arm and a control whose AUROC have the same distribution, with 3 classifier seeds."""
    of_generator, of_classifier, of_image, own = REGIMES[regime]
    image = rng.standard_normal(len(LABELS))
    arm, control = image + of_image * rng.standard_normal((2, len(LABELS)))
    strength = 1 + of_generator * rng.standard_normal((generators, 1)) + of_classifier * rng.standard_normal(3)
    values, draws = aurocs(strength.ravel(), arm, own, weights, rng)
    against, its_draws = aurocs(
        1 + np.hypot(of_generator, of_classifier) * rng.standard_normal(3), control, own, weights, rng
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
    _, of_classifier, of_image, own = REGIMES["both"]
    pools = [image_weights(LABELS, np.arange(len(LABELS)), 10 * DRAWS, rng) for _ in range(2)]
    for _ in range(trials):
        means, draws = [], []
        for pool in pools:
            images = np.hypot(1, of_image) * rng.standard_normal(len(LABELS))
            strength = 1 + of_classifier * rng.standard_normal(3)
            made = aurocs(strength, images, own, pool[rng.randint(len(pool), size=DRAWS)], rng)
            means.append(made[0])
            draws.append(made[1])
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
