"""All images of a raw dataset as one list, with equal pixels known as one distinct image."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medbench.audit.report import ImageName
from medbench.data.dataset import SPLITS, Dataset, Origins, SplitName

KEPT_FIRST: tuple[SplitName, ...] = ("test", "val", "train")  # where the kept copy of an image stands, if it can
BLOCK = 1 << 23  # values of pixels


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
        found = np.zeros((len(self.kept), len(SPLITS)), dtype=bool)
        found[self.distinct, self.split] = True
        return found

    @property
    def two_labels(self) -> np.ndarray:
        """(K,) bool: whether copies of a distinct image carry different labels."""
        differs = np.zeros(len(self.kept), dtype=bool)
        differs[self.distinct[self.labels != self.labels[self.kept][self.distinct]]] = True
        return differs

    def standing(self, dataset: Dataset) -> np.ndarray:
        """(K, 3) bool: in which of SPLITS of a dataset, made of the pool's images alone, a distinct image stands."""
        found = np.zeros((len(self.kept), len(SPLITS)), dtype=bool)
        known = self.origins.digests[self.kept]  # sorted, as distinct images are numbered in the order of digests
        for number, name in enumerate(SPLITS):
            if origins := dataset.splits[name].origins:
                found[np.searchsorted(known, origins.digests), number] = True
        return found

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """`rows` in parts, whose images together are small enough to be held as floats."""
        step = max(1, BLOCK // math.prod(self.stacks[0].shape[1:]))
        for start in range(0, len(rows), step):
            yield rows[start : start + step]

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Images (n, H, W) or (n, H, W, 3) uint8 of the pool's `rows`, (n,) indices."""
        found = np.empty((len(rows), *self.stacks[0].shape[1:]), dtype=np.uint8)
        for number, stack in enumerate(self.stacks):
            here = self.split[rows] == number
            found[here] = stack[self.row[rows[here]]]
        return found

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
    origins = [split.origins for split in splits if split.origins]
    if len(origins) < len(splits):
        raise ValueError("only a raw dataset, which knows what each image was, can be audited")
    joined = Origins(*(np.concatenate([vars(own)[key] for own in origins]) for key in vars(origins[0])))
    lengths = [len(split) for split in splits]
    number = np.repeat(np.arange(len(SPLITS)), lengths)
    distinct = np.unique(joined.digests, return_inverse=True)[1]
    return Pool(
        classes=raw.card.classes,
        stacks=[split.images for split in splits],
        split=number,
        row=np.concatenate([np.arange(length) for length in lengths]),
        labels=np.concatenate([split.labels for split in splits]),
        groups=np.concatenate([split.groups for split in splits]),
        origins=joined,
        distinct=distinct,
        kept=_kept(distinct, number),
    )


def _kept(distinct: np.ndarray, split: np.ndarray) -> np.ndarray:
    turn = np.array([KEPT_FIRST.index(name) for name in SPLITS])[split]
    order = np.argsort(turn, kind="stable")  # rows keep their order within a split
    return order[np.unique(distinct[order], return_index=True)[1]]
