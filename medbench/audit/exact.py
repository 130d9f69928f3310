"""Exact duplicates: rows with the same pixels, within a split, across splits and across labels."""

from collections.abc import Iterable

import numpy as np

from medbench.audit.crossings import HELD_OUT, crossings
from medbench.audit.pool import Pool
from medbench.audit.report import Copies, ExactDuplicates, ImageName
from medbench.data.dataset import SPLITS

MOST_LISTED = 200


def exact_duplicates(pool: Pool) -> ExactDuplicates:
    present, two_labels = pool.present, pool.two_labels
    images = np.bincount(pool.split, minlength=len(SPLITS))
    across = _across(present, pool.kept)
    return ExactDuplicates(
        images=len(pool),
        distinct=len(pool.kept),
        test_copies=_test_copies(pool),
        repeats=dict(zip(SPLITS, (images - present.sum(axis=0)).tolist(), strict=True)),
        crossings=crossings(pool, present),
        across_total=len(across),
        across=_copies(pool, across[:MOST_LISTED]),
        two_labels_total=int(two_labels.sum()),
        two_labels=_copies(pool, pool.distinct[np.sort(pool.kept[two_labels])][:MOST_LISTED]),
    )


def _test_copies(pool: Pool) -> list[ImageName]:
    """Images of test whose pixels stand in train or val too."""
    test, present = SPLITS.index("test"), pool.present
    elsewhere = present.sum(axis=1) > present[:, test]
    rows = np.flatnonzero(pool.split == test)
    return [pool.name(i) for i in rows[elsewhere[pool.distinct[rows]]].tolist()]


def _across(present: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Distinct images that stand in two splits, the gravest pair of splits first."""
    pairs = [present[:, SPLITS.index(split)] & present[:, SPLITS.index(other)] for split, other in HELD_OUT]
    gravest = np.argmax(pairs, axis=0)
    crossing = np.flatnonzero(np.any(pairs, axis=0))
    return crossing[np.lexsort((kept[crossing], gravest[crossing]))]


def _copies(pool: Pool, distinct: Iterable[int]) -> list[Copies]:
    """All rows of each of some distinct images."""
    rows = (np.flatnonzero(pool.distinct == k).tolist() for k in distinct)
    return [Copies(images=[pool.name(i) for i in own]) for own in rows]
