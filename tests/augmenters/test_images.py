from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.image_sections import Images
from medbench.augmenters.images import ImagesAugmenter
from medbench.core.errors import UserError
from tests.helpers.jobs import job_in

SPEC = ImageSpec(1, (8, 8), ("white", "black"), False)  # not in the order of the alphabet
LABELS = np.array([0, 1, 1, 0, 1])
NUMBERED = np.arange(6, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)


def fitted(path: Path, spec: ImageSpec = SPEC) -> ImagesAugmenter:
    augmenter = ImagesAugmenter(Images(kind="images", path="made/{dataset}.npz"), spec)
    assert augmenter.fit(None, None, job(path)) == []  # neither of the splits plays a part
    return augmenter


def job(path: Path) -> Job:
    return job_in(path / "checkpoints", title="sample ready seed 0", given=path)


@pytest.fixture
def npz(tmp_path):
    """A function that writes an npz of six numbered images, or of what is given instead."""

    def write(**arrays) -> Path:
        arrays = {"images": NUMBERED, "labels": np.array([1, 0, 1, 0, 1, 0]), **arrays}
        np.savez(tmp_path / "ready.npz", **{name: array for name, array in arrays.items() if array is not None})
        return tmp_path / "ready.npz"

    return write


@pytest.fixture
def folder(tmp_path):
    """Three white images and two black ones, of other sizes and in colour."""
    for name, (width, height), gray in (
        ("white/b.png", (8, 8), 250),
        ("white/a.jpg", (16, 16), 240),
        ("white/c.png", (8, 4), 230),
        ("black/1.png", (8, 8), 10),
        ("black/2.png", (8, 8), 20),
    ):
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (gray,) * 3).save(path)
    return tmp_path / "made"


def test_images_of_an_npz_are_handed_out_in_their_order_and_never_twice(tmp_path, npz):
    samples = fitted(npz()).sample(LABELS, job(tmp_path))
    assert samples.images[:, 0, 0].tolist() == [1, 0, 2, 3, 4]
    np.testing.assert_array_equal(samples.labels, LABELS)


def test_a_saved_one_needs_its_source_no_more(tmp_path, npz):
    path = npz()
    augmenter = fitted(path)
    augmenter.save(tmp_path / "model")
    path.unlink()
    loaded = ImagesAugmenter.load(augmenter.section, SPEC, tmp_path / "model")
    np.testing.assert_array_equal(loaded.sample(LABELS, job(tmp_path)).images, augmenter.images[[1, 0, 2, 3, 4]])


def test_one_folder_per_class_is_read_by_name_at_the_datasets_size(tmp_path, folder):
    samples = fitted(folder).sample(np.array([0, 0, 0, 1, 1]), job(tmp_path))
    assert samples.images.shape == (5, 8, 8)
    assert samples.images[:, 4, 4].tolist() == [240, 250, 230, 10, 20]
    assert samples.images[2, :, 0].tolist() == [0, 0, 230, 230, 230, 230, 0, 0]  # twice as wide as high: padded


def test_a_folder_follows_a_dataset_in_colour_that_is_not_square(folder):
    augmenter = fitted(folder, ImageSpec(3, (8, 16), ("white", "black"), False))
    assert augmenter.images.shape == (5, 8, 16, 3)


def test_more_images_than_there_are_is_refused(tmp_path, npz):
    augmenter = fitted(npz())
    with pytest.raises(
        UserError,
        match=r"sample ready seed 0: made/\{dataset\}\.npz holds 3 images of class black, 4 are needed; add images, or",
    ):
        augmenter.sample(np.array([1, 1, 0, 1, 1]), job(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": None}, "holds labels; expected the arrays images and labels"),
        (
            {"images": NUMBERED[:, :6]},
            "holds images of 6×8 uint8, but those of the dataset are 8×8 uint8; save them so",
        ),
        (
            {"images": NUMBERED[..., None].repeat(3, -1)},
            "holds images of 8×8×3 uint8, but those of the dataset are 8×8",
        ),
        ({"images": NUMBERED / 255}, "holds images of 8×8 float64, but those of the dataset are 8×8 uint8"),
        ({"images": np.full((6, 8, 8), np.nan)}, "images of 8×8 float64 with NaN or infinite values, but"),
        ({"labels": np.zeros(5, int)}, "labels are int64 of shape 5; expected an integer for each of the 6 images"),
        ({"labels": np.zeros((6, 1), int)}, "labels are int64 of shape 6×1; expected an integer for each"),
        ({"labels": np.zeros(6)}, "labels are float64 of shape 6; expected an integer for each"),
        ({"labels": np.arange(6)}, r"holds the label 2, but those of the dataset are 0 \(white\), 1 \(black\)"),
        ({"labels": np.arange(6) - 1}, "holds the label -1, but"),
    ],
)
def test_an_npz_that_does_not_fit_is_refused(npz, arrays, message):
    with pytest.raises(UserError, match=message) as refused:
        fitted(npz(**arrays))
    assert "ready.npz" in str(refused.value)


def test_a_path_that_leads_nowhere_or_to_something_else_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"none: no such file or folder \(expected an npz .* e\.g\. .*none/white/\*\.png"
    ):
        fitted(tmp_path / "none")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UserError, match=r"text\.npz: is not a readable npz file"):
        fitted(tmp_path / "text.npz")


def test_a_folder_of_no_class_of_the_dataset_is_refused(folder):
    (folder / "black").rename(folder / "blakc")
    with pytest.raises(
        UserError, match=r"made: has the folder 'blakc'; expected a folder for each class .*: white, black"
    ):
        fitted(folder)


def test_a_class_without_a_folder_is_refused(folder):
    (folder / "black").rename(folder.parent / "black")
    with pytest.raises(UserError, match=r"made: has no folder for class black \(expected .*made/black/\*\.png\)"):
        fitted(folder)


def test_folders_of_splits_are_refused(folder):
    (folder / "train").mkdir()
    for name in ("white", "black"):
        (folder / name).rename(folder / "train" / name)
    with pytest.raises(UserError, match="made: has folders of splits; expected a folder for each class"):
        fitted(folder)


def test_a_damaged_image_is_named(folder):
    (folder / "white" / "b.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"made/white/b\.png: is not a readable image .*; mend or remove it"):
        fitted(folder)
