"""Seeded draws of whole groups that keep the share of every class: held-out splits and smaller training sets."""

from collections.abc import Mapping

import numpy as np

from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng
from medbench.data.dataset import Split, SplitName


def draw(labels: np.ndarray, groups: np.ndarray, fraction: float, rng: np.random.RandomState) -> np.ndarray:
    """Marks about `fraction` of the rows of every class, whole groups only, and at least one row of every class.

    Nested: from the same generator state, a smaller fraction marks a subset of what a larger one marks.

    Labels and groups are integers (N,), the mask is boolean (N,). One permutation is drawn. Of groups of one row, a
    class of n rows gives round(fraction · n), at least 1. From a fraction of 1 on, everything is marked.

    scikit-learn's StratifiedGroupKFold draws only fractions 1/k, fails on classes smaller than k, and is not nested.
    """
    classes, labels = np.unique(labels, return_inverse=True)
    ids, groups = np.unique(groups, return_inverse=True)
    content = np.zeros((len(ids), len(classes)), dtype=np.int64)  # rows of each class in each group
    np.add.at(content, (groups, labels), 1)
    order = rng.permutation(len(ids))
    chosen = np.zeros(len(ids), dtype=bool)
    # Of each group, the class in it that has the fewest rows overall: the one that needs care.
    stratum = np.where(content > 0, content.sum(axis=0), np.iinfo(np.int64).max).argmin(axis=1)
    for cls in range(len(classes)):
        members = order[stratum[order] == cls]
        sizes = content[members].sum(axis=1)
        # A group is in if its middle row is: the nearest to the target, and it can only gain groups as that grows.
        chosen[members[np.cumsum(sizes) - sizes / 2 <= fraction * sizes.sum()]] = True
        chosen[order[content[order, cls] > 0][0]] = True  # whatever the fraction, so that draws stay nested
    return chosen[groups]


def hold_out(
    labels: np.ndarray, groups: np.ndarray, val_fraction: float, test_fraction: float, rng: np.random.RandomState
) -> np.ndarray:
    """The split names (N,) of rows that are divided into train, val and test, stratified, whole groups.

    A class too small for all three is served in the order train, test, val. A fraction of 0 takes nothing; both
    together are above 0 and below 1.
    """
    names = np.full(len(labels), "train", dtype="<U5")
    held = val_fraction + test_fraction
    rest = np.flatnonzero(~draw(labels, groups, 1 - held, rng))
    names[rest] = "val"
    if test_fraction and len(rest):
        names[rest[draw(labels[rest], groups[rest], test_fraction / held, rng)]] = "test"
    return names


def draw_missing(labels: np.ndarray, groups: np.ndarray, missing: Mapping[SplitName, float], seed: int) -> np.ndarray:
    """Holds out the splits that a dataset was not published with, by name and fraction; the names (N,) of all rows.

    Raises:
        UserError: a split would have no image, or train none.
    """
    if sum(missing.values()) >= 1:
        raise UserError("val_fraction and test_fraction together leave nothing to train on")

    def drawn(fractions: Mapping[SplitName, float]) -> np.ndarray:
        # No dataset name in the axis: entries that differ only in train_fraction or size share their test images.
        rng = numpy_rng(seed, "dataset", "split")
        return hold_out(labels, groups, fractions.get("val", 0), fractions.get("test", 0), rng)

    names = drawn(missing)
    empty = [name for name in missing if name not in names]
    if empty:
        wider = ({name: max(least, part) for name, part in missing.items()} for least in (0.15, 0.2, 0.25, 0.3))
        enough = (parts for parts in wider if sum(parts.values()) < 1 and {"train", *parts} <= set(drawn(parts)))
        fewest = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
        parts = " and ".join(f"{name}_fraction {part:g}" for name, part in missing.items())
        would_do = ", ".join(f"{name}_fraction: {part:g}" for name, part in next(enough, {}).items())
        raise UserError(
            f"the {empty[0]} split has no image: the smallest class has {fewest} images or patients, too few to divide"
            f" by {parts}; {f'{would_do} would do' if would_do else 'add images, or give splits of your own'}"
        )
    return names


def take_fraction(split: Split, fraction: float, rng: np.random.RandomState) -> Split:
    """About `fraction` of a split, drawn by `draw`, in the order of its rows; 1.0 returns it whole."""
    if fraction == 1.0:
        return split
    return split.rows(np.flatnonzero(draw(split.labels, split.groups, fraction, rng)))
