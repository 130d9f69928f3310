"""Pictures of duplicates: thumbnails side by side, and which image each one is."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medbench.audit.report import Copies, ExactDuplicates, ImageName, NearDuplicates
from medbench.data.dataset import Dataset
from medbench.report.page.pictures import data_uri, strip

MOST_SHOWN = 24  # sets of duplicates of a kind


@dataclass(frozen=True)
class Thumbnail:
    uri: str
    image: ImageName

    @property
    def file(self) -> str:
        """The last part of its name."""
        return self.image.name.rpartition("/")[2]


@dataclass(frozen=True)
class Shown:
    """A set of duplicates."""

    thumbnails: list[Thumbnail]
    caption: str


@dataclass(frozen=True)
class Gallery:
    shown: list[Shown]
    total: int


def across_splits(raw: Dataset, exact: ExactDuplicates) -> Gallery:
    """Of images that stand in several splits, one copy a split."""
    return Gallery([_one_of_each(raw, copies, "split") for copies in exact.across[:MOST_SHOWN]], exact.across_total)


def two_labels(raw: Dataset, exact: ExactDuplicates) -> Gallery:
    """Of images with several labels, one copy a label."""
    shown = [_one_of_each(raw, copies, "label") for copies in exact.two_labels[:MOST_SHOWN]]
    return Gallery(shown, exact.two_labels_total)


def near_pairs(raw: Dataset, near: NearDuplicates) -> Gallery:
    """Near duplicates, those of two splits or labels first."""
    grave = sorted(
        near.pairs, key=lambda pair: (pair.first.split, pair.first.label) == (pair.second.split, pair.second.label)
    )
    shown = [
        Shown(thumbnails(raw, [pair.first, pair.second]), f"{pair.bits} bits, correlation {pair.correlation:.3f}")
        for pair in grave[:MOST_SHOWN]
    ]
    return Gallery(shown, near.total)


def _one_of_each(raw: Dataset, copies: Copies, what: str) -> Shown:
    first: dict[str, ImageName] = {}
    for image in copies.images:
        first.setdefault(getattr(image, what), image)
    return Shown(thumbnails(raw, first.values()), f"{len(copies.images)} copies in all")


def thumbnails(dataset: Dataset, images: Iterable[ImageName]) -> list[Thumbnail]:
    """A picture of each image; their rows are those of the dataset."""
    return [Thumbnail(_uri(dataset.splits[image.split].images[image.row]), image) for image in images]


def _uri(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(strip(image[None])).save(file, format="png", optimize=True)
    return data_uri(file.getvalue())
