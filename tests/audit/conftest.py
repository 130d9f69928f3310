"""Raw datasets made of a few smooth pictures."""

import numpy as np
import pytest
from PIL import Image

from medbench.data.dataset import SPLITS, Card, Dataset, Split, class_counts
from medbench.data.digest import origins_of

SIDE = 32


@pytest.fixture
def picture():
    """A function that makes a smooth gray picture (32, 32), another one for each seed."""

    def make(seed: int) -> np.ndarray:
        coarse = np.random.RandomState(seed).randint(0, 256, (12, 12)).astype(np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))

    return make


@pytest.fixture
def raw():
    """A function that makes a raw dataset of rows (image, label) or (image, label, group), a list a split."""

    def make(classes=("a", "b"), **rows) -> Dataset:
        splits, first = {}, 0
        for name in SPLITS:
            images = np.stack([row[0] for row in rows[name]])
            labels = np.array([row[1] for row in rows[name]])
            own = range(first, first + len(labels))
            groups = np.array([row[2] if len(row) > 2 else 1000 + k for row, k in zip(rows[name], own, strict=True)])
            origins = origins_of(images, [f"{name} {k}" for k in range(len(labels))])
            splits[name] = Split(images, labels, groups, origins)
            first += len(labels)
        card = Card(
            name="tiny",
            title="Tiny",
            source="noise",
            licence="MIT",
            citation="none",
            classes=list(classes),
            channels=1 if images.ndim == 3 else 3,
            image_size=images.shape[1:3],
            counts=class_counts(splits, len(classes)),
            notes=["a note"],
        )
        return Dataset(splits, card)

    return make


@pytest.fixture
def leaky(raw, picture):
    """Picture 0 four times (two in train, one in val and test), 1 in train and test, 2 in train under two labels."""
    p = picture
    return raw(
        train=[(p(0), 0), (p(0), 0), (p(1), 1), (p(2), 0), (p(2), 1), (p(3), 1), (p(4), 0)],
        val=[(p(0), 0), (p(5), 1), (p(6), 0)],
        test=[(p(7), 0), (p(0), 0), (p(1), 1), (p(8), 1)],
    )
