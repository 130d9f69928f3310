"""The two-way bootstrap: how far AUROC moves with other training runs and other test images.

Rows (runs) and columns (images) of the score matrix are resampled independently of each other, and an entry counts as
often as its row times as often as its column: Owen 2007, "The pigeonhole bootstrap". Weights stand for the resamples,
so that arms that share them are compared on the same draws. Resamples of R runs show (R − 1) / R of the variance
between runs, and know nothing of how uncertain R runs leave that variance: with few seeds the interval is too narrow
to claim a difference by (medbench.utility.difference), and with one it says nothing of seeds.
"""

import numpy as np

from medbench.utility.metrics import scored_classes

CHUNK = 1 << 20  # numbers a temporary array: 8 MB


def image_weights(labels: np.ndarray, groups: np.ndarray, draws: int, rng: np.random.RandomState) -> np.ndarray:
    """How often each image stands in each resample: whole groups, drawn with replacement among those of their class.

    Args:
        labels: (N,) integer.
        groups: (N,) integer, equal for the images of one patient. A group's class is that of its first image.
        draws: resamples B.
        rng: draws them, one after the other: more draws leave the first ones as they are.

    Returns:
        (B, N) int32. The number of groups of each class is the same in every draw.
    """
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    class_of = labels[first]
    strata = [np.flatnonzero(class_of == k) for k in np.unique(class_of)]
    counts = np.empty((draws, len(first)), np.int32)
    for row in counts:
        for members in strata:
            row[members] = _resample(len(members), rng)
    return counts[:, group_of]


def seed_weights(n: int, draws: int, rng: np.random.RandomState) -> np.ndarray:
    """(B, n) int32: how often each of n ≥ 1 seeds stands in each of B resamples."""
    return np.stack([_resample(n, rng) for _ in range(draws)])


def _resample(n: int, rng: np.random.RandomState) -> np.ndarray:
    return np.bincount(rng.randint(n, size=n, dtype=np.int64), minlength=n).astype(np.int32)


def weighted_auroc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC under many weightings of the same images.

    Args:
        positive: (N,) bool.
        scores: (N,).
        weights: (B, N), ≥ 0.

    Returns:
        (B,) the weighted share of pairs in which the positive image has the higher score, ties counting half. NaN
        where all positive or all negative images have weight 0.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    negatives = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    positives = np.flatnonzero(positive)
    below, up_to = (np.searchsorted(scores[negatives], scores[positives], side=side) for side in ("left", "right"))
    rows = max(1, CHUNK // len(scores))
    parts = [
        _share(weights[start : start + rows], positives, negatives, below, up_to)
        for start in range(0, len(weights), rows)
    ]
    return np.concatenate(parts)


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
    """The AUROC of each run on each draw of images, as `macro_auroc`.

    Args:
        labels: (N,) integer.
        scores: (R, N, K) probabilities of R runs.
        image_weights: (B, N).

    Returns:
        (R, B) NaN in a draw without any image of a class, which is one for all runs.
    """
    classes = scored_classes(labels, scores.shape[2])
    return np.stack(
        [
            np.mean([weighted_auroc(labels == k, of_run[:, k], image_weights) for k in classes], axis=0)
            for of_run in scores
        ]
    )


def auroc_draws(of_images: np.ndarray, run_weights: np.ndarray) -> np.ndarray:
    """The mean AUROC over runs in each draw of the bootstrap, of images and runs.

    Args:
        of_images: (R, B) as from `image_draws`.
        run_weights: (B, R); a run of weight 0 does not count.

    Returns:
        (B,) NaN in a draw without any run, or without any image of a class.
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
