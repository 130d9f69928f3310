"""What must not be mixed up: classes, patients, masks, depths, and files that are no images."""

import os

import numpy as np
import pytest
from PIL import Image

from medbench.core.errors import UserError
from medbench.data.folders import BELONGS, group_of, list_folder
from medbench.data.images import ImageError, deep_image
from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset, NpzDataset


@pytest.fixture
def root(tmp_path):
    rng = np.random.RandomState(0)
    for label in ("ill", "well"):
        (tmp_path / label).mkdir()
        for n in range(20):
            Image.fromarray(rng.randint(0, 256, (8, 8)).astype(np.uint8)).save(tmp_path / label / f"{n:02}.png")
    return tmp_path


def test_two_classes_whose_names_differ_in_capitals_alone_are_not_one(tmp_path):
    labels = np.arange(12)[:, None] % 2
    arrays = {f"{split}_images": np.zeros((12, 8, 8), np.uint8) for split in ("train", "val", "test")}
    np.savez(tmp_path / "x.npz", **arrays, **{f"{split}_labels": labels for split in ("train", "val", "test")})
    section = NpzDataset(kind="npz", path=str(tmp_path / "x.npz"), classes=["M", "m"])
    with pytest.raises(UserError, match="classes: two of M, m are read as one name"):
        prepare(section, "mine", seed=0)


def test_masks_of_volumes_and_of_another_type_are_no_images(root):
    for name in ("a.nii.gz", "a_seg.nii.gz", "b.nii.gz", "b_mask.png"):
        (root / "ill" / name).touch()
    found = list_folder(root, belongs=BELONGS["nifti"])
    assert [item.name for item in found.items] == ["ill/a.nii.gz", "ill/b.nii.gz"]
    (note,) = found.notes
    assert note.startswith("2 masks beside their images are not read: ill/a_seg.nii.gz, ill/b_mask.png")


@pytest.mark.parametrize(
    ("cell", "group"), [("NA", None), (" nan", None), ("", None), ("P1", "p1"), ("Nanny", "nanny")]
)
def test_an_empty_cell_is_no_patient(cell, group):
    assert group_of(cell) == group


def test_what_is_neither_file_nor_image_is_passed_over(root):
    os.mkfifo(root / "ill" / "pipe")  # opening it would wait for ever
    (root / "ill" / "README").write_text("no image")
    assert prepare(FolderDataset(kind="folder", path=str(root), image_size=8), "mine", seed=0).card.skipped == []
    assert not BELONGS["dicom"]("README") and BELONGS["dicom"]("IM0001")


def test_a_value_that_would_wrap_round_is_refused():
    with pytest.raises(ImageError, match="up to 3000000000, too large"):
        deep_image(np.array([[1, 3_000_000_000]], np.uint32))
