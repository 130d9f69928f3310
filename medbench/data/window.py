"""Grey values of more than 8 bits become 0 to 255: one window for a whole dataset."""

from collections.abc import Mapping, Sequence

import numpy as np

Window = tuple[float, float]  # centre, width: centre - width / 2 becomes 0, centre + width / 2 becomes 255

PIXELS = (0.1, 99.9)  # percentiles within an image: a burnt-in letter or a hot pixel lies outside
IMAGES = (1, 99)  # percentiles of these over the images: so does one odd image in a hundred
LEAST_SHARE = 1 / 4  # of the 256 levels, for what lies inside


def eight_bits(values: np.ndarray, window: Window) -> np.ndarray:
    """uint8 of any numbers: clipped to the window, 0 to 255, rounded to nearest."""
    low, width = window[0] - window[1] / 2, window[1]
    return np.floor(np.clip((values.astype(np.float64) - low) / width, 0, 1) * 255 + 0.5).astype(np.uint8)


def outside(values: np.ndarray, window: Window) -> int:
    """How many values lie outside of a window."""
    return int(np.count_nonzero(np.abs(values.astype(np.float64) - window[0]) > window[1] / 2))


def extent(values: np.ndarray) -> np.ndarray:
    """(4,) smallest value, the PIXELS percentiles, largest value of an image."""
    low, high = PIXELS  # of few pixels, the value inside and not one towards the outlier
    inside = np.percentile(values, low, method="higher"), np.percentile(values, high, method="lower")
    return np.array([values.min(), *inside, values.max()], dtype=np.float64)


def window_of(extents: Sequence[np.ndarray]) -> tuple[Window, str]:
    """The window for images with these extents, and what it is, for the card.

    All that the images hold, so that nothing is cut off; unless outliers would then leave the rest less than
    LEAST_SHARE of the 256 levels: without them.
    """
    smallest, low, high, largest = np.array(extents).T
    whole = float(smallest.min()), float(largest.max())
    inside = float(np.percentile(low, IMAGES[0])), float(np.percentile(high, IMAGES[1]))
    if 0 < inside[1] - inside[0] < LEAST_SHARE * (whole[1] - whole[0]):
        return _between(*inside), f"of the training images, without outliers (they hold {whole[0]:g} to {whole[1]:g})"
    return _between(*whole), "all that the training images hold"


def _between(low: float, high: float) -> Window:
    return (low + high) / 2, (high - low) or 1.0


def window_note(window: Window, what: str, windowed: Mapping[str, int]) -> str:
    """What the card says of it, with the numbers of images, of their pixels, and of those outside."""
    low, high = window[0] - window[1] / 2, window[0] + window[1] / 2
    share = windowed["outside"] / windowed["pixels"]
    return (
        f"grey values {low:g} to {high:g} shown as 0 to 255 in {windowed['images']} images (window"
        f" [{window[0]:g}, {window[1]:g}]: {what}); {share:.2%} of their pixels lie outside"
    )
