import dataclasses

import numpy as np
from PIL import Image

from medbench.audit.distributions import deviations, flat_images, mean_levels, unpadded
from medbench.audit.pool import pool_of
from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.data.images import to_square
from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset


def with_sizes(data: Dataset, sizes: list[tuple[int, int]]) -> Dataset:
    """As if the training images had been read at other sizes."""
    train = data.splits["train"]
    origins = dataclasses.replace(train.origins, sizes=np.array(sizes))
    return Dataset({**data.splits, "train": Split(train.images, train.labels, train.groups, origins)}, data.card)


def test_constant_and_nearly_constant_images_are_told_apart(raw, picture):
    faint = np.full((32, 32), 100, np.uint8)
    faint[::2] = 102  # a standard deviation of 1
    black = np.zeros((32, 32), np.uint8)
    data = raw(train=[(black, 0), (picture(0), 1), (faint, 0)], val=[(picture(1), 0)], test=[(black + 255, 1)])
    pool = pool_of(data)
    found = flat_images(pool, deviations(pool))
    assert found.constant == {"train": 1, "val": 0, "test": 1}
    assert found.near_constant == {"train": 1, "val": 0, "test": 0}
    assert [image.name for image in found.names] == ["train 0", "train 2", "test 0"]


def test_deviations_are_those_of_all_pixels_and_channels(raw):
    images = np.random.RandomState(0).randint(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    data = raw(
        train=[(image, k % 2) for k, image in enumerate(images[:3])], val=[(images[3], 0)], test=[(images[4], 0)]
    )
    np.testing.assert_allclose(deviations(pool_of(data)), images.reshape(5, -1).std(1))


def test_padding_is_no_content(raw, picture):
    sizes = [(50, 20), (17, 33), (40, 40)]
    flat = [np.asarray(to_square(Image.new("L", size, 90), 32, "pad")) for size in sizes]
    assert flat[0].min() == 0
    data = raw(train=[(image, k % 2) for k, image in enumerate(flat)], val=[(picture(0), 0)], test=[(picture(1), 0)])
    pool = pool_of(with_sizes(data, sizes))
    assert deviations(pool)[:3].tolist() == [0, 0, 0]
    assert mean_levels(pool)[:3].tolist() == [90, 90, 90]


def test_content_is_cut_out_as_it_was_padded():
    for size in [(50, 20), (17, 33), (31, 32), (200, 8), (64, 63)]:
        pixels = np.random.RandomState(size[0]).randint(1, 256, size[::-1]).astype(np.uint8)
        square = np.asarray(to_square(Image.fromarray(pixels), 32, "pad"))
        inside = unpadded(square, *size)
        assert inside.sum(dtype=int) == square.sum(dtype=int)
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_an_image_too_long_to_be_padded_is_empty():
    assert unpadded(np.asarray(to_square(Image.new("L", (200, 3), 90), 32, "pad")), 200, 3).std() == 0


def test_a_cropped_image_is_judged_whole(picture):
    assert unpadded(picture(0), 50, 20).shape == (32, 32)


def steps(k: int, levels: int) -> np.ndarray:
    return np.random.RandomState(k).randint(0, levels, (32, 32)).astype(np.uint8) * np.uint8(255 // (levels - 1))


def test_images_of_few_grey_levels_are_named_unless_flat(raw, picture):
    flat = np.full((32, 32), 9, np.uint8)
    rows = [(picture(0), 0), (steps(0, 15), 1), (flat, 0), (picture(5), 0), (steps(1, 200), 0)]
    pool = pool_of(raw(train=rows, val=[(picture(1), 0)], test=[(steps(2, 2), 1)]))
    found = flat_images(pool, deviations(pool))
    assert found.few_levels == {"train": 1, "val": 0, "test": 1}
    assert [image.name for image in found.names] == ["train 1", "train 2", "test 0"]


def test_a_dataset_of_black_and_white_is_meant_so(raw, picture):
    rows = [(steps(k, 2), k % 2) for k in range(3)]
    pool = pool_of(raw(train=rows, val=[(steps(4, 2), 0)], test=[(picture(3), 0)]))
    assert flat_images(pool, deviations(pool)).names == []


def test_levels_are_those_before_resizing(tmp_path):
    for split in SPLITS:
        (tmp_path / split / "a").mkdir(parents=True)
        (tmp_path / split / "b").mkdir()
        for number in range(2):
            Image.fromarray(steps(number, 8)).save(tmp_path / split / "ab"[number] / "0.png")
    data = prepare(FolderDataset(kind="folder", path=str(tmp_path), image_size=16), "mine", seed=0)
    assert len(np.unique(data.splits["train"].images[0])) > 16
    assert flat_images(pool_of(data), deviations(pool_of(data))).few_levels == {"train": 2, "val": 2, "test": 2}
