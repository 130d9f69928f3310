"""On the real chest CT set (a reduced copy): what is publicly known of its leaks must be found."""

import zipfile
from collections import defaultdict

import numpy as np
import pytest

from medbench.audit.audit import audit_dataset
from medbench.data.dataset import Card, Dataset, Origins, Split, class_counts
from medbench.data.digest import grey_levels, perceptual_hash, pixel_digest
from medbench.data.images import decode, to_channels, to_square
from medbench.report.audit.findings import audit_findings

CLASSES = ["adenocarcinoma", "large.cell.carcinoma", "normal", "squamous.cell.carcinoma"]
SPLIT_OF = {"train": "train", "valid": "val", "test": "test"}
NORMAL = 2
SIDE = 64


@pytest.fixture(scope="module")
def chest_ct(tmp_path_factory):
    """A function that reads the zip, once."""
    made = {}

    def read(archive) -> Dataset:
        if not made:
            folder = tmp_path_factory.mktemp("ct")
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)
            made["raw"] = dataset(folder)
        return made["raw"]

    return read


def dataset(folder) -> Dataset:
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
    for split, found in rows.items():
        images, labels, names, sizes, digests, phashes, levels = map(np.array, zip(*found, strict=True))
        origins = Origins(names, sizes, digests, phashes.astype(np.uint64), levels)
        splits[split] = Split(images, labels, first + np.arange(len(labels)), origins)
        first += len(labels)
    card = Card(
        name="chest_ct",
        title="Chest CT",
        source="zip",
        licence="not stated",
        citation="not stated",
        classes=CLASSES,
        channels=1,
        image_size=(SIDE, SIDE),
        counts=class_counts(splits, len(CLASSES)),
    )
    return Dataset(splits, card)


@pytest.fixture
def raw(shared, chest_ct) -> Dataset:
    return chest_ct(shared / "data/chest-ctscan-images.zip")


def normals(split: Split) -> tuple[int, int]:
    """Rows, and distinct images among them."""
    own = split.origins.digests[split.labels == NORMAL]
    return len(own), len(set(own))


def test_the_leak_is_found(raw):
    assert {name: normals(split) for name, split in raw.splits.items()} == {
        "train": (148, 55),
        "val": (13, 11),
        "test": (54, 27),
    }
    exact = audit_dataset(raw, "as_published", 0).result.exact
    crossings = {(found.split, found.other): found for found in exact.crossings}
    for split, images, of in [("test", 46, 54), ("val", 10, 13)]:
        found = crossings[split, "train"]
        assert (found.classes["normal"].images, found.classes["normal"].of) == (images, of)
        assert all(share.images == 0 for name, share in found.classes.items() if name != "normal")
    assert crossings["test", "val"].distinct == 5
    assert exact.two_labels_total == 1


def test_it_is_told_first(raw):
    report = audit_dataset(raw, "as_published", 0).result
    assert audit_findings(report)[:3] == [
        "46 of 54 test images of class normal are pixel-identical to a training image, 19 distinct images.",
        "10 of 13 val images of class normal are pixel-identical to a training image, 8 distinct images.",
        "17 of 54 test images of class normal are pixel-identical to a val image, 5 distinct images.",
    ]


def test_test_images_differ_in_brightness_within_classes(raw):
    report = audit_dataset(raw, "as_published", 0).result
    found = report.intensity_differences[0]
    assert (found.split, found.other, found.strong) == ("test", "train", True)
    assert list(found.classes) == ["adenocarcinoma", "squamous.cell.carcinoma", "large.cell.carcinoma"]
    assert found.classes["adenocarcinoma"] > 0.75 and found.classes["squamous.cell.carcinoma"] > 0.45
    assert any("within class adenocarcinoma, so it is not only other shares" in said for said in audit_findings(report))


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
