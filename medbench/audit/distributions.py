"""How large and how bright the images of each split are, and whether splits differ."""

import numpy as np

from medbench.audit.crossings import HELD_OUT
from medbench.audit.pool import Pool
from medbench.audit.report import Intensities, IntensityDifference, Sizes, Spread
from medbench.data.dataset import SPLITS, Dataset, SplitName

PERCENTILES = (1, 5, 50, 95, 99)
BINS = 64  # of the histogram
LEVELS = 256
STRONG_DISTANCE = 0.3  # a difference that a reader should know of
LEAST_IMAGES = 50  # distinct ones of each split: fewer are that far apart by chance more often than 2 in 100 times


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


def intensity_differences(pool: Pool, levels: np.ndarray) -> list[IntensityDifference]:
    """Whether images of two splits are equally bright, all together and class by class.

    Args:
        levels: (N,) as of `flat.mean_levels`.
    """
    return [_difference(pool, levels, split, other) for split, other in HELD_OUT]


def _difference(pool: Pool, levels: np.ndarray, split: SplitName, other: SplitName) -> IntensityDifference:
    whole = _distinct(pool, split), _distinct(pool, other)
    of_class = {}
    for label, name in enumerate(pool.classes):
        rows = _distinct(pool, split, label), _distinct(pool, other, label)
        if _enough(rows):
            of_class[name] = _distance(levels, rows)
    distance, enough = _distance(levels, whole), _enough(whole)
    return IntensityDifference(
        split=split,
        other=other,
        distance=distance,
        enough=enough,
        classes=dict(sorted(of_class.items(), key=lambda found: -found[1])),
        strong=max([*of_class.values(), distance if enough else 0.0]) >= STRONG_DISTANCE,
    )


def _distinct(pool: Pool, split: SplitName, label: int | None = None) -> np.ndarray:
    """Rows of the distinct images of a split, or of one class in it, of each the first copy."""
    inside = pool.split == SPLITS.index(split)
    rows = np.flatnonzero(inside if label is None else inside & (pool.labels == label))
    return rows[np.unique(pool.distinct[rows], return_index=True)[1]]


def _enough(rows: tuple[np.ndarray, np.ndarray]) -> bool:
    return min(map(len, rows)) >= LEAST_IMAGES


def _distance(levels: np.ndarray, rows: tuple[np.ndarray, np.ndarray]) -> float:
    """Without scipy's ks_2samp, as a p value would take images for independent, and slices of one patient are not."""
    own, others = (np.sort(levels[each]) for each in rows)
    at = np.concatenate([own, others])
    up_to = [np.searchsorted(each, at, side="right") / len(each) for each in (own, others)]
    return round(float(np.abs(up_to[0] - up_to[1]).max()), 3)
