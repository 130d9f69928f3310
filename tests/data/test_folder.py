"""A user's own images, one folder per class: what is read, what is left out and named, what stops."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medbench.config.load import parse
from medbench.core.errors import UserError
from medbench.data.folders import BELONGS, list_folder
from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset
from tests.helpers.own_images import folder, from_folder, from_table, put, two_classes, values

DICOM = b"\0" * 128 + b"DICM"


@pytest.fixture
def root(tmp_path) -> Path:
    return two_classes(tmp_path / "mine")


# Splits ---------------------------------------------------------------------------------------------------------


def test_one_folder_per_class_is_split_by_seed(root, tmp_path):
    dataset = from_folder(root)
    card = dataset.card
    assert card.classes == ["ill", "well"]
    assert card.patients == "unknown"
    assert card.counts == {"train": [14, 14], "val": [2, 2], "test": [4, 4]}
    assert card.source == "folder mine" and str(tmp_path) not in card.model_dump_json()
    assert card.notes == [
        "val (0.1) and test (0.2) drawn from the training images by seed 0: stratified by class, whole groups",
        "resized from 10 x 8 (width x height) to 8 x 8 pixels: bicubic, aspect kept, padded with black",
    ]
    for split in dataset.splits.values():
        assert [value >= 100 for value in values(split)] == (split.labels == 1).tolist()
    assert len({value for split in dataset.splits.values() for value in values(split)}) == 40


def test_the_split_depends_on_the_seed_and_the_source_on_the_content(root):
    first, other_seed = from_folder(root, seed=0), from_folder(root, seed=1)
    other_name = prepare(folder(root), "other", seed=0)
    assert values(first.splits["test"]) == values(other_name.splits["test"])
    assert values(first.splits["test"]) != values(other_seed.splits["test"])
    assert first.card.source_sha256 == other_seed.card.source_sha256
    put(root / "ill" / "00.png", 55)
    assert from_folder(root).card.source_sha256 != first.card.source_sha256


@pytest.mark.parametrize("val_name", ["val", "VALID", "Validation"])
def test_split_folders_are_used_as_they_are(tmp_path, val_name):
    for split, base in (("Train", 0), (val_name, 20), ("test", 40)):
        for number in range(3):
            put(tmp_path / split / "a" / f"{number}.PNG", base + number)
            put(tmp_path / split / "b" / f"{number}.Png", base + 100 + number)
    dataset = from_folder(tmp_path)
    assert values(dataset.splits["train"]) == [0, 1, 2, 100, 101, 102]
    assert values(dataset.splits["val"]) == [20, 21, 22, 120, 121, 122]
    assert not any("drawn" in note for note in dataset.card.notes)


def test_a_missing_val_is_taken_from_train(tmp_path):
    two_classes(tmp_path / "train")
    two_classes(tmp_path / "test", n=5)
    card = from_folder(tmp_path).card
    assert card.counts == {"train": [18, 18], "val": [2, 2], "test": [5, 5]}
    assert card.notes[0].startswith("val (0.1) drawn from the training images by seed 0")


def test_split_folders_may_spell_a_class_differently(tmp_path):
    for split, cls in (("Training", "Benign"), ("validation", "benign"), ("Testing", "benign")):
        for n in range(3):
            put(tmp_path / split / cls / f"{n}.png", n)
            put(tmp_path / split / "malignant" / f"{n}.png", 100 + n)
    card = from_folder(tmp_path).card
    assert card.classes == ["benign", "malignant"]
    assert card.counts == {"train": [3, 3], "val": [3, 3], "test": [3, 3]}


def test_too_few_of_each_class_for_the_splits_comes_with_fractions_that_do(tmp_path):
    for cls in range(12):
        for n in range(5):
            put(tmp_path / f"c{cls}" / f"{n}.png", 10 * n)
    why = r"the val split has no image: the smallest class has 5 images .*; val_fraction: 0\.15, test_fraction: 0\.2"
    with pytest.raises(UserError, match=rf"datasets\.mine: {tmp_path}: {why} would do"):
        from_folder(tmp_path)
    assert min(map(sum, from_folder(tmp_path, val_fraction=0.15, test_fraction=0.2).card.counts.values())) > 0


# Bad layouts ----------------------------------------------------------------------------------------------------

BAD_LAYOUTS = {
    "nothing": ([], "no such folder .expected one folder per class"),
    "loose images": (["00.png"], "has no class folder"),
    "too deep": (["ill/p1/00.png", "well/00.png"], "has the folder 'p1' inside a class"),
    "splits and others": (["train/a/0.png", "extra/a/0.png"], "has split folders and 'extra' beside them"),
    "val twice": (["train/a/0.png", "val/a/0.png", "valid/a/1.png"], "val and valid are the same split"),
    "only test": (["test/a/0.png"], "has no train split"),
    "class only in test": (["train/a/0.png", "val/a/0.png", "test/b/0.png"], "class 'b' has no training image"),
    "too few for three splits": (["a/0.png", "b/0.png"], "the val split has no image.*; add images, or give splits of"),
    "no image": (["none/"], "names no image"),
    "empty class": ([f"a/{n:02}.png" for n in range(20)] + ["b/"], r"'b' has no training image \(val 0, test 0\)"),
}


@pytest.mark.parametrize(("files", "message"), BAD_LAYOUTS.values(), ids=BAD_LAYOUTS.keys())
def test_a_bad_layout_is_refused_in_one_line(tmp_path, files, message):
    root = tmp_path / "mine"
    for name in files:
        (root / name).mkdir(parents=True) if name.endswith("/") else put(root / name)
    with pytest.raises(UserError, match=message) as refusal:
        from_folder(root)
    assert str(refusal.value).startswith(f"datasets.mine: {root}") and "\n" not in str(refusal.value)


def test_settings_that_cannot_be_right_are_refused(root):
    with pytest.raises(UserError, match="leave nothing to train on"):
        from_folder(root, val_fraction=0.5, test_fraction=0.5)
    with pytest.raises(UserError, match="image_size: is required"):
        parse(FolderDataset, {"kind": "folder", "path": "photos"}, "datasets.mine")


# What is no image, and what is broken ---------------------------------------------------------------------------


def test_litter_of_every_system_is_nothing_at_all(root):
    clean = from_folder(root).card
    for name in ("__MACOSX/ill/00.png", "ill/__MACOSX/00.png", ".cache/00.png", "ill/.00.png"):
        put(root / name)
    for name in ("ill/.DS_Store", "ill/Thumbs.db", "ill/desktop.ini", "ill/._00.png", "README.txt", "ill/README"):
        (root / name).write_bytes(b"x")
    os.mkfifo(root / "ill" / "pipe")  # opening it would wait for ever
    assert from_folder(root).card == clean


def test_files_that_are_not_read_are_named_on_the_card_and_in_the_log(tmp_path, capsys):
    root = two_classes(tmp_path / "mine", n=40)
    (root / "ill" / "a.dcm").write_bytes(DICOM)
    (root / "ill" / "IM0001").write_bytes(DICOM)
    (root / "ill" / "gone.png").symlink_to("../store/gone.png")
    put(root / "loose.png")
    Image.new("L", (8, 8)).save(root / "well" / "b.ppm")
    (root / "well" / "notes.txt").write_text("no image")
    card = from_folder(root).card
    names = [line.split(":")[0] for line in card.skipped]
    assert names == ["ill/IM0001", "ill/a.dcm", "ill/gone.png", "loose.png", "well/b.ppm"]
    assert "lies in no class folder" in card.skipped[3] and "link to nothing" in card.skipped[2]
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: ")] == [
        f"left out: {line}" for line in card.skipped
    ]


def test_losing_more_than_a_tenth_stops(tmp_path):
    root = two_classes(tmp_path / "mine", n=40)
    for n in range(8):
        (root / "ill" / f"{n}.dcm").write_bytes(DICOM)
    assert len(from_folder(root).card.skipped) == 8
    (root / "ill" / "8.dcm").write_bytes(DICOM)
    with pytest.raises(UserError, match=r"mine: 9 of 89 image files would be left out: ill/0\.dcm: .* \(and 8 more\)"):
        from_folder(root)


def test_links_to_nothing_stop_too(root):
    for n in range(20):
        (root / "ill" / f"{n:02}.png").unlink()
        os.symlink(f"../.git/annex/{n}", root / "ill" / f"{n:02}.png")
    with pytest.raises(UserError, match=r"20 of 40 image files would be left out: ill/00\.png: is a link to nothing"):
        from_folder(root)


def test_masks_beside_their_images_are_no_images(root):
    for name in ("ill/00_mask.png", "ill/00_mask_1.png", "well/01_segmentation.png"):
        put(root / name)
    put(root / "well" / "death_mask.png")  # of no image here
    card = from_folder(root).card
    assert sum(map(sum, card.counts.values())) == 41
    names = "ill/00_mask.png, ill/00_mask_1.png, well/01_segmentation.png"
    assert card.notes[0] == f"3 masks beside their images are not read: {names}"
    assert card.skipped == []


def test_masks_of_volumes_and_of_another_type_are_no_images(root):
    for name in ("a.nii.gz", "a_seg.nii.gz", "b.nii.gz", "b_mask.png"):
        (root / "ill" / name).touch()
    listing = list_folder(root, belongs=BELONGS["nifti"])
    assert [item.name for item in listing.items] == ["ill/a.nii.gz", "ill/b.nii.gz"]
    (note,) = listing.notes
    assert note.startswith("2 masks beside their images are not read: ill/a_seg.nii.gz, ill/b_mask.png")


@pytest.mark.parametrize("suffix", [".jfif", ".JPE"])
def test_a_jpeg_is_read_under_each_of_its_endings(root, suffix):
    Image.new("L", (8, 8), 50).save(root / "ill" / f"a{suffix}", "JPEG")
    card = from_folder(root).card
    assert card.skipped == [] and sum(map(sum, card.counts.values())) == 41


def test_images_beside_those_of_a_table_are_counted(root):
    rows = [f"{cls}/{n:02}.png,{cls}" for cls in ("ill", "well") for n in range(10)]
    card = from_table(root, "path,label\n" + "\n".join(rows)).card
    beside = "20 image files beside those of the table are not in it: ill/10.png, ill/11.png, ill/12.png, ..."
    assert card.notes[0] == beside


@pytest.fixture
def damaged(root):
    """A zero-byte, a truncated and an unreadable file among the others, and a header that claims 200,000 x 200,000."""
    (root / "ill" / "03.png").write_bytes(b"")
    noise = np.random.RandomState(0).randint(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(root / "ill" / "04.png")
    os.truncate(root / "ill" / "04.png", 2000)
    (root / "well" / "05.png").write_text("not an image")
    bitmap = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 200_000, 200_000, 1, 24, 0, 0, 0, 0, 0, 0)
    (root / "well" / "bomb.bmp").write_bytes(bitmap)
    return root


def test_a_broken_image_stops_the_run_unless_it_may_be_skipped(damaged, tmp_path):
    with pytest.raises(UserError, match=r"ill/03.png: is empty \(0 bytes\) \(and 3 more files\); mend or remove it"):
        from_folder(damaged)
    card = from_folder(damaged, skip_broken=True).card
    assert [line.split(":")[0] for line in card.skipped] == ["ill/03.png", "ill/04.png", "well/05.png", "well/bomb.bmp"]
    assert "truncated" in card.skipped[1] and "decompression bomb" in card.skipped[3]
    assert str(tmp_path) not in "".join(card.skipped)
    assert np.sum(list(card.counts.values()), axis=0).tolist() == [18, 19]


def test_skipping_every_image_of_a_class_is_an_error(root):
    for cls, message in (
        ("ill", r"20 of 40 image files would be left out: ill/00\.png: is empty"),
        ("well", "not one image can be read"),
    ):
        for path in (root / cls).iterdir():
            path.write_bytes(b"")
        with pytest.raises(UserError, match=message):
            from_folder(root, skip_broken=True)


def test_gray_and_colour_mix_only_on_request(root):
    put(root / "well" / "07.png", 200, mode="RGB")
    with pytest.raises(UserError, match=r"mixed \(ill/00.png is gray, well/07.png is colour\); set channels: 1 or"):
        from_folder(root)
    gray, colour = (from_folder(root, channels=channels).card for channels in (1, 3))
    assert gray.channels == 1 and "colour converted to gray (ITU-R 601 luma)" in gray.notes
    assert colour.channels == 3 and "gray repeated to three channels" in colour.notes
