"""Small NIfTI volumes whose voxels are known."""

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.images import ImageError
from medbench.data.nifti import decode_nifti
from medbench.data.prepare import prepare
from medbench.data.sections import NiftiDataset
from tests.helpers.own_images import damaged_copies

SHAPE = (5, 6, 4)  # right, front, head
VOLUME = np.arange(120, dtype=np.int16).reshape(SHAPE)


def write(
    path: Path, voxels: np.ndarray = VOLUME, axes: str = "RAS", spacing=(1.0, 1.0, 1.0), kind=nibabel.Nifti1Image
) -> Path:
    """The volume, given in RAS, stored along other axes of the patient."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = kind(voxels, np.diag([*spacing, 1.0]))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(axes)
    )
    image.as_reoriented(turn).to_filename(path)
    return path


def section(root: Path = Path("."), **settings) -> NiftiDataset:
    return NiftiDataset(kind="nifti", path=str(root), **{"image_size": 8, **settings})


def slices(path: Path, **settings) -> dict[str, np.ndarray]:
    return {picture.part: np.asarray(picture.image) for picture in decode_nifti(path, section(**settings))}


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "ASL"])
def test_slices_are_the_same_however_the_volume_was_stored(tmp_path, axes):
    path = write(tmp_path / "a.nii.gz", axes=axes)
    for axis, depth in enumerate(SHAPE):
        pictures = slices(path, axis=axis)
        assert list(pictures) == [f" slice {number}" for number in range(depth)]
        for number in range(depth):
            np.testing.assert_array_equal(pictures[f" slice {number}"], np.take(VOLUME, number, axis)[::-1, ::-1].T)


def test_an_axial_slice_has_its_front_up_and_the_right_side_left(tmp_path):
    corner = np.zeros(SHAPE, np.float32)
    corner[4, 5, 2] = 1  # right, front
    assert slices(write(tmp_path / "a.nii", corner))[" slice 2"][0, 0] == 1


def test_some_slices_are_enough(tmp_path):
    path = write(tmp_path / "a.nii")
    assert list(slices(path, slices="middle")) == [" slice 2"]
    assert list(slices(path, slices=3)) == [" slice 0", " slice 3"]


def test_slope_and_intercept_count_and_eight_bits_stay(tmp_path):
    image = nibabel.Nifti1Image(VOLUME, np.eye(4))
    image.header.set_slope_inter(2, -100)
    image.to_filename(tmp_path / "a.nii")
    stored = nibabel.Nifti1Image.from_filename(tmp_path / "a.nii").get_fdata()
    np.testing.assert_allclose(slices(tmp_path / "a.nii")[" slice 1"], stored[:, :, 1][::-1, ::-1].T)
    eight = next(iter(decode_nifti(write(tmp_path / "b.nii", VOLUME.astype(np.uint8)), section())))
    assert not eight.deep and np.asarray(eight.image).max() == 116


def test_remarks_tell_of_pixels_that_are_not_square_and_of_unknown_sides(tmp_path):
    path = write(tmp_path / "a.nii", spacing=(1, 1, 5), axes="SRA")
    assert len(next(iter(decode_nifti(path, section(axis=2)))).remarks) == 1
    assert "not square" in next(iter(decode_nifti(path, section(axis=0)))).remarks[1]
    nibabel.Nifti1Image(VOLUME, None).to_filename(tmp_path / "b.nii")
    assert "states no orientation" in next(iter(decode_nifti(tmp_path / "b.nii", section()))).remarks[0]


def test_what_is_no_single_volume_of_numbers_is_refused_in_one_line(tmp_path):
    colour = np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    whole = write(tmp_path / "d.nii.gz").read_bytes()
    for name, content in {"e.nii.gz": whole[: len(whole) // 2], "f.nii": b"no volume", "g.nii.gz": b""}.items():
        (tmp_path / name).write_bytes(content)
    refused = {
        write(tmp_path / "a.nii", np.zeros((3, 3, 3, 2), np.int16)): "save one volume of three dimensions",
        write(tmp_path / "b.nii", colour): "voxels of type",
        write(tmp_path / "c.nii", np.full((3, 3, 3), np.nan, np.float32)): "not finite",
        **{tmp_path / name: "cannot be decoded: " for name in ("e.nii.gz", "f.nii", "g.nii.gz")},
    }
    for path, reason in refused.items():
        with pytest.raises(ImageError, match=reason) as refusal:
            slices(path)
        assert "\n" not in str(refusal.value)


def test_flipped_bytes_never_raise_anything_else(tmp_path):
    for damaged in damaged_copies(write(tmp_path / "a.nii"), stop=352):
        try:
            slices(damaged)
        except ImageError as error:
            assert "\n" not in str(error)


def test_a_folder_of_volumes_keeps_each_in_one_split(tmp_path):
    rng = np.random.RandomState(0)
    for cls in "ab":
        for number in range(8):
            write(tmp_path / "mine" / cls / f"{number}.nii.gz", rng.randint(0, 900, SHAPE).astype(np.int16))
    dataset = prepare(section(tmp_path / "mine", val_fraction=0.25, test_fraction=0.25), "mine", seed=0)
    card = dataset.card
    assert (card.patients, card.counts) == ("known", {"train": [16, 16], "val": [8, 8], "test": [8, 8]})
    groups = [set(dataset.splits[name].groups.tolist()) for name in SPLITS]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 16
    assert "slices of volumes turned to the patient's axes (RAS+): 64 images" in card.notes
    assert card.window[1] > 850 and card.source == "folder mine"
    assert dataset.splits["train"].origins.names[0].startswith("a/")
    assert dataset.splits["train"].origins.names[0].endswith(".nii.gz slice 0")


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UserError, match=r"needs nibabel: pip install 'medbench\[dicom\]'"):
        prepare(section(tmp_path), "mine", seed=0)
