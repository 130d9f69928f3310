"""Images without content, and with little: constant ones, those that hardly vary, those of few grey levels."""

from collections.abc import Callable

import numpy as np

from medbench.audit.pool import Pool
from medbench.audit.report import FlatImages
from medbench.data.dataset import SPLITS, SplitName

BELOW_SD = 2.0  # grey levels: noise of a good sensor, and less than any tissue shows
FEW_LEVELS = 16  # 12 bits in 16, shown as 8 without a window, have so many
BINARY = 2  # levels
MOST_LISTED = 50


def deviations(pool: Pool) -> np.ndarray:
    """(N,) standard deviation of each image's grey levels over pixels and channels, black padding left out."""
    return _over_content(pool, lambda values: values.std(axis=1))


def mean_levels(pool: Pool) -> np.ndarray:
    """(N,) mean grey level of each image over pixels and channels, black padding left out."""
    return _over_content(pool, lambda values: values.mean(axis=1))


def _over_content(pool: Pool, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(N,) what `measure` makes of images, (n, values) uint8 -> (n,)."""
    rows = np.arange(len(pool))
    found = np.concatenate([measure(pool.images(block).reshape(len(block), -1)) for block in pool.blocks(rows)])
    height, width = pool.stacks[0].shape[1:3]
    sizes = pool.origins.sizes
    for i in np.flatnonzero(sizes[:, 0] * height != sizes[:, 1] * width):
        inside = unpadded(pool.images(rows[i : i + 1])[0], *sizes[i].tolist())
        found[i] = measure(inside.reshape(1, -1))[0]
    return found


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
    """Counts and names the images with a standard deviation `sd` (N,) below BELOW_SD, and others of few grey levels.

    Where most images have two levels, few are meant so, and not counted.
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
    return {name: int((chosen & (pool.split == number)).sum()) for number, name in enumerate(SPLITS)}
