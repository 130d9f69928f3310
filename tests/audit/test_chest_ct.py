"""On the real chest CT set (a reduced copy): what is publicly known of its leaks must be found."""

import zipfile
from collections import defaultdict

import numpy as np
import pytest

from medbench.audit.audit import audit_dataset
from medbench.data.dataset import Dataset, Origins, Split
from medbench.data.digest import grey_levels, perceptual_hash, pixel_digest
from medbench.data.images import decode, to_channels, to_square
from medbench.report.audit.findings import audit_findings
from tests.helpers.builders import tiny_of

CLASSES = ["adenocarcinoma", "large.cell.carcinoma", "normal", "squamous.cell.carcinoma"]
SPLIT_OF = {"train": "train", "valid": "val", "test": "test"}
NORMAL = 2
SIDE = 64


@pytest.fixture(scope="module")
def raw(shared, tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("ct")
    with zipfile.ZipFile(shared / "data/chest-ctscan-images.zip") as file:
        file.extractall(folder)
    rows = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        image = decode(path).image
        pixels, square = np.asarray(image), np.asarray(to_square(to_channels(image, 1), SIDE, "pad"))
        _, split, cls, _ = path.relative_to(folder).parts
        label = next(k for k, name in enumerate(CLASSES) if cls.startswith(name))
        name = path.relative_to(folder).as_posix()
        look = image.size, pixel_digest(pixels), perceptual_hash(pixels), grey_levels(pixels)
        rows[SPLIT_OF[split]].append((square, label, name, *look))
    splits, first = {}, 0
    for split, of_split in rows.items():
        images, labels, names, sizes, digests, phashes, levels = map(np.array, zip(*of_split, strict=True))
        origins = Origins(names, sizes, digests, phashes.astype(np.uint64), levels)
        splits[split] = Split(images, labels, first + np.arange(len(labels)), origins)
        first += len(labels)
    return tiny_of(splits, CLASSES)


def normals(split: Split) -> tuple[int, int]:
    """Rows, and distinct images among them."""
    digests = split.origins.digests[split.labels == NORMAL]
    return len(digests), len(set(digests))


def test_the_leak_is_found(raw):
    assert {name: normals(split) for name, split in raw.splits.items()} == {
        "train": (148, 55),
        "val": (13, 11),
        "test": (54, 27),
    }
    exact = audit_dataset(raw, "as_published", 0).result.exact
    crossings = {(crossing.split, crossing.other): crossing for crossing in exact.crossings}
    for split, images, of in [("test", 46, 54), ("val", 10, 13)]:
        classes = crossings[split, "train"].classes
        assert (classes["normal"].images, classes["normal"].of) == (images, of)
        assert all(share.images == 0 for name, share in classes.items() if name != "normal")
    assert crossings["test", "val"].distinct == 5
    assert exact.two_labels_total == 1


def test_it_is_told_first(raw):
    result = audit_dataset(raw, "as_published", 0).result
    assert audit_findings(result)[:3] == [
        "46 of 54 test images of class normal are pixel-identical to a training image, 19 distinct images.",
        "10 of 13 val images of class normal are pixel-identical to a training image, 8 distinct images.",
        "17 of 54 test images of class normal are pixel-identical to a val image, 5 distinct images.",
    ]


def test_test_images_differ_in_brightness_within_classes(raw):
    result = audit_dataset(raw, "as_published", 0).result
    difference = result.intensity_differences[0]
    assert (difference.split, difference.other, difference.strong) == ("test", "train", True)
    assert list(difference.classes) == ["adenocarcinoma", "squamous.cell.carcinoma", "large.cell.carcinoma"]
    assert difference.classes["adenocarcinoma"] > 0.75 and difference.classes["squamous.cell.carcinoma"] > 0.45
    assert any(
        "within class adenocarcinoma, so it is not only other shares" in sentence for sentence in audit_findings(result)
    )


def test_near_duplicates_come_on_top(raw):
    near = audit_dataset(raw, "clean", 0).result.near
    assert near.total == 40
    assert near.compared == 791
    assert near.across_after == 2
    assert {pair.first.label for pair in near.pairs} == {"adenocarcinoma", "large.cell.carcinoma", "normal"}


def test_clean_leaves_few_normals(raw):
    cleaned = audit_dataset(raw, "clean", 0).dataset
    assert [cleaned.card.counts[name][NORMAL] for name in ("train", "val", "test")] == [33, 6, 27]
    digests = np.concatenate([split.origins.digests for split in cleaned.splits.values()])
    assert len(set(digests)) == len(digests) == 790


def test_resplit_keeps_as_many_and_spreads_them(raw):
    drawn = audit_dataset(raw, "resplit", 0).dataset
    assert sum(len(split) for split in drawn.splits.values()) == 790
    counts = [drawn.card.counts[name][NORMAL] for name in ("train", "val", "test")]
    assert sum(counts) == 66
    np.testing.assert_allclose(np.array(counts) / 66, np.array([613, 72, 259]) / 944, atol=0.02)
