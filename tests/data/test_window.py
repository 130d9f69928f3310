"""Images of more than 8 bits get one window per dataset, which the card names."""

import numpy as np
import pytest
from PIL import Image

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.images import eight_bits, extent, window_of
from tests.helpers.own_images import from_folder, from_npz

SIDE = 16


def put_all(root, images) -> None:
    """root/<split>/{a,b}/<number>.png, `images(rng)` in each."""
    rng = np.random.RandomState(0)
    for split in SPLITS:
        for cls in "ab":
            (root / split / cls).mkdir(parents=True)
            for number in range(4):
                Image.fromarray(images(rng)).save(root / split / cls / f"{number}.png")


def twelve_bits(rng) -> np.ndarray:
    image = rng.randint(0, 4096, (SIDE, SIDE)).astype(np.uint16)
    image[0, :2] = 0, 4095
    return image


def prepared(root, **settings):
    return from_folder(root, image_size=SIDE, **settings)


def plain(path, value, dtype=np.uint8) -> None:
    Image.fromarray(np.full((SIDE, SIDE), value, dtype)).save(path)


def test_twelve_bits_in_sixteen_keep_their_grey_levels(tmp_path):
    put_all(tmp_path, twelve_bits)
    dataset = prepared(tmp_path)
    assert dataset.card.window == (2047.5, 4095)
    assert (
        "grey values 0 to 4095 shown as 0 to 255 in 24 images (window [2047.5, 4095]: all that the training images"
        " hold); 0.00% of their pixels lie outside" in dataset.card.notes
    )
    stored = np.asarray(Image.open(tmp_path / "test" / "a" / "0.png"))
    np.testing.assert_array_equal(dataset.splits["test"].images[0], (stored / 4095 * 255 + 0.5).astype(np.uint8))
    assert dataset.splits["test"].origins.levels.min() > 100


def test_the_training_images_alone_tell_the_window(tmp_path):
    put_all(tmp_path, twelve_bits)
    plain(tmp_path / "test/a/0.png", 60000, np.uint16)
    dataset = prepared(tmp_path)
    assert dataset.card.window == (2047.5, 4095)
    assert (dataset.splits["test"].images[0] == 255).all()
    assert any("4.17% of their pixels lie outside" in note for note in dataset.card.notes)


def test_a_window_of_the_config_is_taken_for_all_gray_images(tmp_path):
    put_all(tmp_path, twelve_bits)
    plain(tmp_path / "train/a/0.png", 120)
    dataset = prepared(tmp_path, window=(100, 80))
    assert dataset.card.window == (100, 80)
    assert (dataset.splits["train"].images[0] == 191).all()  # (120 - 60) / 80 of 255
    assert any("window [100, 80]: set in the config" in note for note in dataset.card.notes)


def test_eight_bits_beside_more_and_what_is_broken_have_no_part_in_the_window(tmp_path):
    put_all(tmp_path, twelve_bits)
    plain(tmp_path / "train/a/0.png", 120)
    (tmp_path / "train/a/1.png").write_bytes(b"")
    dataset = prepared(tmp_path, skip_broken=True)
    assert (dataset.splits["train"].images[0] == 120).all()
    assert any(" in 22 images (" in note for note in dataset.card.notes)
    assert len(dataset.card.skipped) == 1 and dataset.card.window == (2047.5, 4095)


def test_there_is_no_window_without_deep_training_images(tmp_path):
    put_all(tmp_path, lambda rng: np.full((SIDE, SIDE), 7, np.uint8))
    plain(tmp_path / "val/a/0.png", 7, np.uint16)
    with pytest.raises(UserError, match="only val or test have images of more than 8 bits; set window"):
        prepared(tmp_path)


def test_a_window_is_refused_for_colour(tmp_path):
    put_all(tmp_path, lambda rng: np.zeros((SIDE, SIDE, 3), np.uint8))
    with pytest.raises(UserError, match=r"window is for gray images, and test/a/0.png is colour"):
        prepared(tmp_path, window=(100, 80))


def test_outliers_do_not_crush_the_rest():
    rng = np.random.RandomState(0)
    images = [rng.randint(1000, 1400, (64, 64)) for _ in range(20)]
    for image in images:
        image[0, :3] = 65535  # a burnt-in letter
    window, what = window_of([extent(image) for image in images])
    assert window[0] - window[1] / 2 >= 1000 and window[0] + window[1] / 2 <= 1400
    assert "without outliers (they hold 1000 to 65535)" in what
    assert len(np.unique(eight_bits(images[0], window))) > 200


def test_bright_spots_that_leave_enough_levels_are_kept_and_one_value_has_a_window_too():
    image = np.tile(np.arange(300), (300, 1))
    image[0, :3] = 900
    assert window_of([extent(image)]) == ((450, 900), "all that the training images hold")
    assert window_of([extent(np.full((4, 4), 7.0))])[0] == (7, 1)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_arrays_of_sixteen_bits_are_windowed_alike(tmp_path, dtype):
    rng = np.random.RandomState(0)
    content = {}
    for name in SPLITS:
        content[f"{name}_images"] = rng.randint(-1000 if dtype == np.int16 else 0, 1000, (6, 9, 9)).astype(dtype)
        content[f"{name}_labels"] = np.arange(6) % 2
    dataset = from_npz(tmp_path / "mine.npz", content)
    train = content["train_images"].astype(float)
    scaled = np.clip((content["val_images"] - train.min()) / (train.max() - train.min()), 0, 1)
    np.testing.assert_array_equal(dataset.splits["val"].images, np.floor(scaled * 255 + 0.5))
    assert dataset.card.window == ((train.max() + train.min()) / 2, train.max() - train.min())
    again = from_npz(tmp_path / "mine.npz", window=(0, 100))
    assert again.card.window == (0, 100)
    assert (again.splits["val"].images == 255).any()
