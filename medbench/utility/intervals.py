"""How sure the AUROC of an arm is, and a difference of two, given other training runs and other test images.

AUROC: a two-way bootstrap. Rows (runs) and columns (images) of the score matrix are resampled independently of each
other, and an entry counts as often as its row times as often as its column: Owen 2007, "The pigeonhole bootstrap".
Weights stand for the resamples, so that arms that share them are compared on the same draws. Resamples of R runs show
(R − 1) / R of the variance between runs, and know nothing of how uncertain R runs leave that variance: with few seeds
the interval is too narrow to claim a difference by, and with one it says nothing of seeds.

Difference: multi-reader multi-case analysis, radiology's answer to this question for two techniques, a few readers and
one set of cases. Here seeds stand for the readers, and test images for the cases. A bootstrap over both would not do:
with three runs an arm that differ more than images make them, its percentile interval leaves out 0 in one case of five
in which nothing is different.
"""

import numpy as np
from scipy.stats import t as student_t

from medbench.utility.scores import scored_classes

CHUNK = 1 << 20  # numbers in a temporary array: 8 MB
# Of 100 intervals of 95 % for differences with nothing behind them, how many leave out 0 at most, by the fewest seeds
# of a kind: runs that by chance agree make v_C and its weight in the degrees of freedom small together. From four on it
# is 6.
# Simulated, see tests/utility/test_intervals.py.
NULL_RATES = {2: 13, 3: 8}


def image_weights(labels: np.ndarray, groups: np.ndarray, draws: int, rng: np.random.RandomState) -> np.ndarray:
    """How often each image stands in each resample, (B, N) int32: whole groups, drawn among those of their class.

    The number of groups of each class is the same in every draw. The class of a group, as of one patient's images, is
    that of its first image. More draws leave the first ones as they are.
    """
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    class_of = labels[first]
    strata = [np.flatnonzero(class_of == k) for k in np.unique(class_of)]
    counts = np.empty((draws, len(first)), np.int32)
    for row in counts:
        for members in strata:
            row[members] = _resample(len(members), rng)
    return counts[:, group_of]


def weights_per_seed(n: int, draws: int, rng: np.random.RandomState) -> np.ndarray:
    """(B, n) int32: how often each of n ≥ 1 seeds stands in each of B resamples."""
    return np.stack([_resample(n, rng) for _ in range(draws)])


def _resample(n: int, rng: np.random.RandomState) -> np.ndarray:
    return np.bincount(rng.randint(n, size=n, dtype=np.int64), minlength=n).astype(np.int32)


def weighted_auroc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC (B,) of scores (N,) under B weightings (B, N), ≥ 0, of the same images.

    It is the weighted share of pairs in which the positive image has the higher score, ties counting half; NaN where
    all positive or all negative images have weight 0.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    negatives = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    positives = np.flatnonzero(positive)
    below, up_to = (np.searchsorted(scores[negatives], scores[positives], side=side) for side in ("left", "right"))
    rows = max(1, CHUNK // len(scores))
    parts = (weights[start : start + rows] for start in range(0, len(weights), rows))
    return np.concatenate([_share(part, positives, negatives, below, up_to) for part in parts])


def _share(
    weights: np.ndarray, positives: np.ndarray, negatives: np.ndarray, below: np.ndarray, up_to: np.ndarray
) -> np.ndarray:
    """`weighted_auroc` of a few draws; below, up_to: how many of the sorted negatives lie below and not above each."""
    of_positives = weights[:, positives].astype(np.float64)
    beaten = np.zeros((len(weights), len(negatives) + 1))  # the weight of the first n negatives
    np.cumsum(weights[:, negatives], axis=1, dtype=np.float64, out=beaten[:, 1:])
    won = (of_positives * (beaten[:, below] + beaten[:, up_to])).sum(axis=1) / 2
    pairs = of_positives.sum(axis=1) * beaten[:, -1]
    return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def image_draws(labels: np.ndarray, scores: np.ndarray, image_weights: np.ndarray) -> np.ndarray:
    """The AUROC (R, B), as `macro_auroc`, of the scores (R, N, K) of each run on each draw of images (B, N).

    NaN in a draw without any image of a class, which is one for all runs.
    """
    classes = scored_classes(labels, scores.shape[2])
    by_class = [[weighted_auroc(labels == k, run[:, k], image_weights) for k in classes] for run in scores]
    return np.mean(by_class, axis=1)


def auroc_draws(of_images: np.ndarray, run_weights: np.ndarray) -> np.ndarray:
    """The mean AUROC (B,) over runs in each draw, of images (R, B) as from `image_draws` and of runs (B, R).

    NaN in a draw without any run, or without any image of a class.
    """
    total, runs = (run_weights.T * of_images).sum(axis=0), run_weights.sum(axis=1)
    return np.divide(total, runs, out=np.full(len(runs), np.nan), where=runs > 0)


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The bounds between which the middle `level` of the draws (B,) lie; NaN draws are left out, NaN if all are."""
    known = draws[~np.isnan(draws)]
    if len(known) == 0:
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def difference_interval(differences: np.ndarray, image_draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The interval of an arm's mean AUROC minus its control's, over seeds and test images.

    It is mean ± t √(v_C + v_G + v_I). v_C and v_G are the variances of the mean from classifier and from generator
    seeds, with what images do to one seed alone. v_I is from what they do to all: the mean covariance, over draws of
    images, between the differences of two classifier seeds. In the degrees of freedom of t it is taken as known.

    Args:
        differences: (G, C) of AUROC, by generator and classifier seed. G = 1 without generators, and with a single one:
            then the interval does not cover how one training of a generator differs from another.
        image_draws: (C, B) the same, as a mean over generators, on each bootstrap draw of the test images alone.
        level: how often the interval holds the difference; with few seeds a little less often, see NULL_RATES.

    Returns:
        Its bounds; NaN with one classifier seed, or fewer than two draws without NaN.

    Source: Obuchowski and Rockette 1995, v_I is their 2 (Cov2 − Cov3), at least 0; degrees of freedom of Hillis 2007,
    with generator seeds beside classifier seeds those of Satterthwaite 1946, of which Hillis' are a case.
    """
    draws = image_draws[:, ~np.isnan(image_draws).any(axis=0)]
    if min(len(draws), draws.shape[1]) < 2:
        return np.nan, np.nan
    by_seed = [means for means in (differences.mean(axis=0), differences.mean(axis=1)) if len(means) > 1]
    of_seeds = [(means.var(ddof=1) / len(means), len(means) - 1) for means in by_seed]
    between = np.cov(draws)[~np.eye(len(draws), dtype=bool)]
    squared_error = sum(variance for variance, _ in of_seeds) + max(0.0, float(between.mean()))
    uncertain = sum(variance**2 / freedom for variance, freedom in of_seeds)
    freedom = squared_error**2 / uncertain if uncertain > 0 else np.inf
    mean, half = differences.mean(), student_t.ppf((1 + level) / 2, freedom) * np.sqrt(squared_error)
    return float(mean - half), float(mean + half)
