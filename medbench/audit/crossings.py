"""How many images of one split stand, in some sense, in another one too."""

from collections.abc import Iterator

import numpy as np

from medbench.audit.pool import Pool
from medbench.audit.report import Crossing, GroupCrossing, Share
from medbench.data.dataset import SPLITS, Dataset, SplitName

# What is scored first: a test image seen in training flatters every number, a val image the choice of the model.
HELD_OUT: tuple[tuple[SplitName, SplitName], ...] = (("test", "train"), ("val", "train"), ("test", "val"))


def crossings(pool: Pool, known: np.ndarray) -> list[Crossing]:
    """Of each pair of splits, the images of the first that are known in the second.

    Args:
        pool: N images, K distinct ones.
        known: (K, 3) bool: whether a distinct image counts as standing in each of SPLITS.
    """
    found = []
    for split, other in HELD_OUT:
        inside = pool.split == SPLITS.index(split)
        crossing = inside & known[pool.distinct, SPLITS.index(other)]
        of_class = {name: pool.labels == label for label, name in enumerate(pool.classes)}
        classes = {name: _share(pool, inside & own, crossing & own) for name, own in of_class.items()}
        whole = _share(pool, inside, crossing)
        found.append(Crossing(split=split, other=other, classes=classes, **whole.model_dump()))
    return found


def _share(pool: Pool, inside: np.ndarray, crossing: np.ndarray) -> Share:
    distinct = len(np.unique(pool.distinct[crossing]))
    return Share(images=int(crossing.sum()), of=int(inside.sum()), distinct=distinct)


def group_crossings(pool: Pool) -> list[GroupCrossing]:
    """Groups that have images in two splits, each pair of splits that shares any."""
    return [found for split, other in HELD_OUT for found in _shared_groups(pool, split, other)]


def torn_groups(dataset: Dataset) -> int:
    """How many groups have images in more than one split."""
    own = [np.unique(split.groups) for split in dataset.splits.values()]
    return int((np.unique(np.concatenate(own), return_counts=True)[1] > 1).sum())


def _shared_groups(pool: Pool, split: SplitName, other: SplitName) -> Iterator[GroupCrossing]:
    own, others = (pool.groups[pool.split == SPLITS.index(name)] for name in (split, other))
    shared = np.intersect1d(own, others)
    if len(shared):
        images = int(np.isin(own, shared).sum())
        yield GroupCrossing(split=split, other=other, groups=len(shared), images=images)
