"""How large and bright images are, whether splits differ in it, and which images have no or little content."""

from collections.abc import Callable

import numpy as np
from scipy.stats import ks_2samp

from medbench.audit.pool import HELD_OUT, Pool
from medbench.audit.results import FlatImages, Intensities, IntensityDifference, Sizes, Spread
from medbench.data.dataset import SPLITS, Dataset, SplitName

PERCENTILES = (1, 5, 50, 95, 99)
BINS = 64  # of the histogram
LEVELS = 256
STRONG_DISTANCE = 0.3  # a difference that a reader should know of
LEAST_IMAGES = 50  # distinct ones of each split: fewer are that far apart by chance more often than 2 in 100 times
BELOW_SD = 2.0  # grey levels: noise of a good sensor, and less than any tissue shows
FEW_LEVELS = 16  # 12 bits in 16, shown as 8 without a window, have so many
BINARY = 2  # levels
MOST_LISTED = 50  # flat images


def sizes(pool: Pool, split: SplitName) -> Sizes:
    sizes = pool.origins.sizes[pool.split == SPLITS.index(split)]
    width, height = map(_spread, sizes.T)
    return Sizes(width=width, height=height, distinct=len(np.unique(sizes, axis=0)))


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
    """Whether images of two splits are equally bright, all together and class by class; levels as of `mean_levels`."""
    return [_difference(pool, levels, split, other) for split, other in HELD_OUT]


def _difference(pool: Pool, levels: np.ndarray, split: SplitName, other: SplitName) -> IntensityDifference:
    classes = {}
    for label, name in enumerate(pool.classes):
        first, second = (levels[_distinct(pool, each, label)] for each in (split, other))
        if min(len(first), len(second)) >= LEAST_IMAGES:
            classes[name] = _distance(first, second)
    first, second = (levels[_distinct(pool, each)] for each in (split, other))
    distance, enough = _distance(first, second), min(len(first), len(second)) >= LEAST_IMAGES
    return IntensityDifference(
        split=split,
        other=other,
        distance=distance,
        enough=enough,
        classes=dict(sorted(classes.items(), key=lambda item: -item[1])),
        strong=max([*classes.values(), distance if enough else 0.0]) >= STRONG_DISTANCE,
    )


def _distinct(pool: Pool, split: SplitName, label: int | None = None) -> np.ndarray:
    """Rows of the distinct images of a split, or of one class in it, of each the first copy."""
    inside = pool.split == SPLITS.index(split)
    rows = np.flatnonzero(inside if label is None else inside & (pool.labels == label))
    return rows[np.unique(pool.distinct[rows], return_index=True)[1]]


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    """Kolmogorov and Smirnov's, without a p value: that would take slices of one patient for independent."""
    return round(float(ks_2samp(first, second, method="asymp").statistic), 3)


def deviations(pool: Pool) -> np.ndarray:
    """(N,) standard deviation of each image's grey levels over pixels and channels, black padding left out."""
    return _over_content(pool, np.std)


def mean_levels(pool: Pool) -> np.ndarray:
    """(N,) mean grey level of each image over pixels and channels, black padding left out."""
    return _over_content(pool, np.mean)


def _over_content(pool: Pool, measure: Callable[..., np.ndarray]) -> np.ndarray:
    """(N,) numpy's `measure` of each image."""
    rows = np.arange(len(pool))
    measured = np.concatenate([measure(images.reshape(len(images), -1), axis=1) for images in pool.blocks(rows)])
    height, width = pool.stacks[0].shape[1:3]
    sizes = pool.origins.sizes  # width, height
    for i in np.flatnonzero(sizes[:, 0] * height != sizes[:, 1] * width):
        inside = unpadded(pool.images(rows[i : i + 1])[0], *sizes[i].tolist())
        measured[i] = measure(inside.reshape(1, -1), axis=1)[0]
    return measured


def unpadded(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The content of an image that was padded with black from `width` × `height` pixels; another image whole."""
    tall, wide = image.shape[:2]
    # As PIL.ImageOps.pad rounds.
    if width / height > wide / tall:
        inner_tall, inner_wide = max(1, round(height / width * wide)), wide
    else:
        inner_tall, inner_wide = tall, max(1, round(width / height * tall))
    top, left = round((tall - inner_tall) * 0.5), round((wide - inner_wide) * 0.5)
    inside = image[top : top + inner_tall, left : left + inner_wide]
    cropped = np.count_nonzero(image) > np.count_nonzero(inside)  # there is content where padding would be
    return image if cropped else inside


def flat_images(pool: Pool, sd: np.ndarray) -> FlatImages:
    """Counts and names images with a standard deviation `sd` (N,) below BELOW_SD, and others of few grey levels.

    Where most images have two levels, few levels are intended and not counted.
    """
    levels, content = pool.origins.levels, sd >= BELOW_SD
    binary = content.any() and np.median(levels[content]) <= BINARY
    few = (levels < FEW_LEVELS) & content & (not binary)
    constant = sd == 0
    near_constant = (sd < BELOW_SD) & ~constant
    first = np.flatnonzero(constant | near_constant | few)[:MOST_LISTED]
    return FlatImages(
        below_sd=BELOW_SD,
        constant=_by_split(pool, constant),
        near_constant=_by_split(pool, near_constant),
        below_levels=FEW_LEVELS,
        few_levels=_by_split(pool, few),
        names=[pool.name(i) for i in first],
    )


def _by_split(pool: Pool, chosen: np.ndarray) -> dict[SplitName, int]:
    return dict(zip(SPLITS, np.bincount(pool.split[chosen], minlength=len(SPLITS)).tolist(), strict=True))
