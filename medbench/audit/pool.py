"""All images of a raw dataset as one list, with equal pixels known as one distinct image, and its exact duplicates."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from medbench.audit.results import ClassShare, Copies, Crossing, ExactDuplicates, GroupCrossing, ImageName
from medbench.data.dataset import ORIGINS, SPLITS, Dataset, Origins, SplitName

KEPT_FIRST: tuple[SplitName, ...] = ("test", "val", "train")  # where the kept copy of an image stands, if it can
# What is scored first: a test image seen in training flatters every number, a val image the choice of the model.
HELD_OUT: tuple[tuple[SplitName, SplitName], ...] = (("test", "train"), ("val", "train"), ("test", "val"))
BLOCK = 1 << 23  # values of pixels
MOST_LISTED = 200  # sets of copies


@dataclass(frozen=True)
class Pool:
    """N images in the order train, val, test; K distinct ones, numbered by `distinct`."""

    classes: list[str]
    stacks: list[np.ndarray]  # the images of each of SPLITS, (n, H, W) or (n, H, W, 3) uint8
    split: np.ndarray  # (N,) int64: index in SPLITS
    row: np.ndarray  # (N,) int64: place in its split
    labels: np.ndarray  # (N,) int64
    groups: np.ndarray  # (N,) int64
    origins: Origins
    distinct: np.ndarray  # (N,) int64: 0 to K − 1, equal for equal pixels
    kept: np.ndarray  # (K,) int64: of each distinct image the copy to keep, the first row in test, val or train

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def present(self) -> np.ndarray:
        """(K, 3) bool: in which of SPLITS a distinct image stands."""
        present = np.zeros((len(self.kept), len(SPLITS)), dtype=bool)
        present[self.distinct, self.split] = True
        return present

    @property
    def two_labels(self) -> np.ndarray:
        """(K,) bool: whether copies of a distinct image carry different labels."""
        differs = np.zeros(len(self.kept), dtype=bool)
        differs[self.distinct[self.labels != self.labels[self.kept][self.distinct]]] = True
        return differs

    def standing(self, dataset: Dataset) -> np.ndarray:
        """(K, 3) bool: in which of SPLITS of a dataset, made of the pool's images alone, a distinct image stands."""
        known = self.origins.digests[self.kept]
        origins = [dataset.splits[name].origins for name in SPLITS]
        return np.stack([np.isin(known, of_split.digests if of_split else []) for of_split in origins], axis=1)

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """The images of some rows in parts, small enough to be held as floats."""
        step = max(1, BLOCK // math.prod(self.stacks[0].shape[1:]))
        for start in range(0, len(rows), step):
            yield self.images(rows[start : start + step])

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Images (n, H, W) or (n, H, W, 3) uint8 of the pool's `rows`, (n,) indices."""
        images = np.empty((len(rows), *self.stacks[0].shape[1:]), dtype=np.uint8)
        for number, stack in enumerate(self.stacks):
            here = self.split[rows] == number
            images[here] = stack[self.row[rows[here]]]
        return images

    def name(self, i: int) -> ImageName:
        return ImageName(
            split=SPLITS[self.split[i]],
            row=int(self.row[i]),
            name=str(self.origins.names[i]),
            label=self.classes[self.labels[i]],
        )


def pool_of(raw: Dataset) -> Pool:
    """The pool of a dataset whose splits have origins.

    Raises:
        ValueError: a split has none, so this is no raw dataset.
    """
    splits = [raw.splits[name] for name in SPLITS]
    if any(split.origins is None for split in splits):
        raise ValueError("only a raw dataset, which knows what each image was, can be audited")
    joined = Origins(*(np.concatenate([getattr(split.origins, name) for split in splits]) for name in ORIGINS))
    lengths = [len(split) for split in splits]
    number = np.repeat(np.arange(len(SPLITS)), lengths)
    distinct = np.unique(joined.digests, return_inverse=True)[1]
    turn = np.array([KEPT_FIRST.index(name) for name in SPLITS])[number]
    order = np.argsort(turn, kind="stable")  # rows keep their order within a split
    return Pool(
        classes=raw.card.classes,
        stacks=[split.images for split in splits],
        split=number,
        row=np.concatenate([np.arange(length) for length in lengths]),
        labels=np.concatenate([split.labels for split in splits]),
        groups=np.concatenate([split.groups for split in splits]),
        origins=joined,
        distinct=distinct,
        kept=order[np.unique(distinct[order], return_index=True)[1]],
    )


def crossings(pool: Pool, known: np.ndarray) -> list[Crossing]:
    """Of each pair of splits, the images of the first that are known in the second.

    `known`, (K, 3) bool, says whether a distinct image counts as standing in each of SPLITS.
    """
    listed, classes = [], {name: pool.labels == label for label, name in enumerate(pool.classes)}
    for split, other in HELD_OUT:
        inside = pool.split == SPLITS.index(split)
        crossing = inside & known[pool.distinct, SPLITS.index(other)]
        shares = {name: _share(pool, inside & rows, crossing & rows) for name, rows in classes.items()}
        whole = _share(pool, inside, crossing)
        listed.append(Crossing(split=split, other=other, classes=shares, **whole.model_dump()))
    return listed


def _share(pool: Pool, inside: np.ndarray, crossing: np.ndarray) -> ClassShare:
    distinct = len(np.unique(pool.distinct[crossing]))
    return ClassShare(images=int(crossing.sum()), of=int(inside.sum()), distinct=distinct)


def group_crossings(pool: Pool) -> list[GroupCrossing]:
    """Groups that have images in two splits, each pair of splits that shares any."""
    crossings = []
    for split, other in HELD_OUT:
        groups, others = (pool.groups[pool.split == SPLITS.index(name)] for name in (split, other))
        shared = np.intersect1d(groups, others)
        if len(shared):
            images = int(np.isin(groups, shared).sum())
            crossings.append(GroupCrossing(split=split, other=other, groups=len(shared), images=images))
    return crossings


def torn_groups(dataset: Dataset) -> int:
    """How many groups have images in more than one split."""
    groups = [np.unique(split.groups) for split in dataset.splits.values()]
    return int((np.unique(np.concatenate(groups), return_counts=True)[1] > 1).sum())


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
    """All rows of some distinct images."""
    return [Copies(images=[pool.name(i) for i in np.flatnonzero(pool.distinct == k).tolist()]) for k in distinct]
