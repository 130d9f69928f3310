"""How large and how bright the images of each split are, and whether splits differ."""

import numpy as np
from scipy.stats import ks_2samp

from medbench.audit.crossings import HELD_OUT
from medbench.audit.pool import Pool
from medbench.audit.report import Intensities, IntensityDifference, Sizes, Spread
from medbench.data.dataset import SPLITS, Dataset, SplitName

PERCENTILES = (1, 5, 50, 95, 99)
BINS = 64  # of the histogram
LEVELS = 256
MOST_EXACT = 1000  # images: with more the asymptotic p-value is as good, and faster
STRONG_DISTANCE, STRONG_P = 0.2, 0.001  # a difference that a reader should know of, and that is not chance


def sizes(pool: Pool, split: SplitName) -> Sizes:
    found = pool.origins.sizes[pool.split == SPLITS.index(split)]
    return Sizes(width=_spread(found[:, 0]), height=_spread(found[:, 1]), distinct=len(np.unique(found, axis=0)))


def _spread(values: np.ndarray) -> Spread:
    return Spread(smallest=int(values.min()), median=float(np.median(values)), largest=int(values.max()))


def intensities(raw: Dataset, split: SplitName) -> Intensities:
    """Of all pixels and channels of a split, from its histogram."""
    counts = np.zeros(LEVELS, dtype=np.int64)
    for image in raw.splits[split].images:
        counts += np.bincount(image.ravel(), minlength=LEVELS)
    share = counts / counts.sum()
    level = np.arange(LEVELS)
    mean = float(share @ level)
    up_to = np.cumsum(counts)
    return Intensities(
        mean=round(mean, 2),
        sd=round(float(np.sqrt(share @ (level - mean) ** 2)), 2),
        percentiles={str(q): int(np.searchsorted(up_to * 100, q * up_to[-1])) for q in PERCENTILES},
        histogram=share.reshape(BINS, -1).sum(axis=1).round(6).tolist(),
    )


def mean_levels(pool: Pool) -> np.ndarray:
    """(N,) mean grey level of each image over pixels and channels."""
    rows = np.arange(len(pool))
    return np.concatenate([pool.images(block).reshape(len(block), -1).mean(axis=1) for block in pool.blocks(rows)])


def intensity_differences(pool: Pool, levels: np.ndarray) -> list[IntensityDifference]:
    """Whether images of two splits are equally bright; `levels` (N,) as of `mean_levels`."""
    return [_difference(pool, levels, split, other) for split, other in HELD_OUT]


def _difference(pool: Pool, levels: np.ndarray, split: SplitName, other: SplitName) -> IntensityDifference:
    own, others = (levels[pool.split == SPLITS.index(name)] for name in (split, other))
    test = ks_2samp(own, others, method="exact" if max(len(own), len(others)) <= MOST_EXACT else "asymp")
    distance, p_value = float(test.statistic), float(test.pvalue)
    return IntensityDifference(
        split=split,
        other=other,
        distance=round(distance, 3),
        p_value=float(f"{p_value:.2g}"),
        strong=distance >= STRONG_DISTANCE and p_value < STRONG_P,
    )
