"""Which splits were published: read from the notes that preparing leaves."""

import numpy as np
import pytest
from PIL import Image

from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset, PhantomDataset
from medbench.report.splits import drawn_splits, splits_text


def card(root, splits):
    """Of a folder with these splits as prepared; none: classes alone."""
    rng = np.random.RandomState(0)
    for split in splits or ["."]:
        for name in ("a", "b"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(10):
                Image.fromarray(rng.randint(0, 256, (8, 8)).astype(np.uint8)).save(folder / f"{number}.png")
    return prepare(FolderDataset(kind="folder", path=str(root), image_size=8), "own", seed=3).card


@pytest.mark.parametrize(
    ("splits", "drawn", "said"),
    [
        (["train", "val", "test"], [], "train, val and test as published"),
        (["train", "test"], ["val"], "train and test as published; val (0.1) drawn from the training images by seed 3"),
        ([], ["val", "test"], "neither val nor test was published; val (0.1) and test (0.2) drawn from the training"),
    ],
    ids=["all", "no val", "none"],
)
def test_what_was_drawn_is_told_from_what_was_published(tmp_path, splits, drawn, said):
    found = card(tmp_path, splits)
    assert drawn_splits(found) == drawn
    assert splits_text(found).startswith(said)


def test_no_split_of_a_phantom_was_published():
    section = PhantomDataset(kind="phantom", subject="ct", image_size=16, train=2, val=2, test=2)
    found = prepare(section, "ct", seed=0).card
    assert drawn_splits(found) == ["train", "val", "test"]
    assert splits_text(found).startswith("no split was published")
