"""Procedural stand-ins for the studies' images: drawn, not recorded, so they need no download and no licence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medbench.core.rng import numpy_rng
from medbench.data.phantoms import ct, tongue, xray


@dataclass(frozen=True)
class Subject:
    """What can be drawn: `render(label, rng, size)` gives one image, uint8 (size, size) or (size, size, 3)."""

    title: str
    classes: list[str]  # label k is classes[k], as in the dataset that the subject imitates
    channels: Literal[1, 3]
    horizontal_flip: bool  # whether mirroring an image keeps its meaning
    render: Callable[[int, np.random.RandomState, int], np.ndarray]


SUBJECTS: dict[str, Subject] = {
    "ct": Subject("Chest CT phantom", ct.CLASSES, 1, False, ct.render),
    "xray": Subject("Chest X-ray phantom", xray.CLASSES, 1, False, xray.render),
    "tongue": Subject("Tongue phantom", tongue.CLASSES, 3, True, tongue.render),
}


def render_split(
    subject: str, split: str, counts: Sequence[int], size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """One split of a phantom dataset, its classes shuffled together.

    Image i of class k depends on (seed, subject, split, k, i) alone: a larger split holds the images of a smaller one,
    and no two splits share an image.

    Args:
        subject: a key of `SUBJECTS`.
        split: its name, part of every image's seed.
        counts: images to draw, by class.
        size: height and width in pixels; 28 to 256 look right.
        seed: the dataset's seed.

    Returns:
        images (N, size, size) or (N, size, size, 3) uint8, labels (N,) int64.
    """
    render = SUBJECTS[subject].render
    wanted = [(label, i) for label, count in enumerate(counts) for i in range(count)]
    order = numpy_rng(seed, "phantom", subject, split, "order").permutation(len(wanted))
    shape = (size, size, 3) if SUBJECTS[subject].channels == 3 else (size, size)
    images, labels = np.empty((len(wanted), *shape), np.uint8), np.empty(len(wanted), np.int64)
    for row, (label, i) in enumerate(wanted[j] for j in order):
        images[row] = render(label, numpy_rng(seed, "phantom", subject, split, label, i), size)
        labels[row] = label
    return images, labels
