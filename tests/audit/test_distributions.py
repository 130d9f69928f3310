import dataclasses

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ks_2samp

from medbench.audit.distributions import (
    deviations,
    flat_images,
    intensities,
    intensity_differences,
    mean_levels,
    sizes,
    unpadded,
)
from medbench.audit.pool import pool_of
from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.data.images import to_square
from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset


@pytest.fixture
def noise(raw):
    """A function that makes splits of noise of given brightness."""

    def make(**offsets):
        rng = np.random.RandomState(0)
        return raw(
            **{
                name: [((rng.randint(0, 60, (10, 14)) + offset).astype(np.uint8), k % 2) for k in range(60)]
                for name, offset in offsets.items()
            }
        )

    return make


def test_sizes_are_width_and_height_as_read(noise):
    data = noise(train=0, val=0, test=0)
    data.splits["train"].origins.sizes[:2] = [(200, 100), (300, 100)]
    result = sizes(pool_of(data), "train")
    assert (result.width.smallest, result.width.median, result.width.largest) == (14, 14, 300)
    assert (result.height.smallest, result.height.median, result.height.largest) == (10, 10, 100)
    assert result.distinct == 3


def test_intensities_are_those_of_all_pixels(noise):
    data = noise(train=0, val=30, test=100)
    pixels = data.splits["val"].images
    result = intensities(data, "val")
    assert result.mean == pytest.approx(pixels.mean(), abs=0.01)
    assert result.sd == pytest.approx(pixels.std(), abs=0.01)
    expected = np.percentile(pixels, [1, 5, 50, 95, 99], method="inverted_cdf")
    assert list(result.percentiles.values()) == expected.tolist()
    assert sum(result.histogram) == pytest.approx(1, abs=1e-4)
    assert result.histogram[:7] == [0] * 7  # nothing below 28


def test_a_brighter_split_is_strongly_different(noise):
    pool = pool_of(noise(train=0, val=0, test=30))
    result = {(item.split, item.other): item for item in intensity_differences(pool, mean_levels(pool))}
    assert result["test", "train"].distance == 1
    assert result["test", "train"].strong
    assert result["test", "val"].strong
    assert not result["val", "train"].strong
    assert result["val", "train"].enough
    assert result["val", "train"].classes == {}  # 30 images each


def test_a_class_that_differs_is_found_though_all_together_hardly_do(raw):
    rng = np.random.RandomState(0)

    def rows(levels, label):
        return [(rng.randint(0, 60, (8, 8)).astype(np.uint8) + np.uint8(level), label) for level in levels]

    train, test = rows([0] * 100, 0) + rows([50] * 60, 1), rows([0] * 100, 0) + rows([0] * 60, 1)
    pool = pool_of(raw(train=train, val=rows([0] * 3, 0), test=test))
    result, to_val, _ = intensity_differences(pool, mean_levels(pool))
    assert list(result.classes) == ["b", "a"]
    assert result.classes["b"] == 1 and result.classes["a"] < 0.3
    assert result.strong
    assert not to_val.enough and not to_val.strong


def test_repeats_of_a_bright_image_count_once(raw):
    rng = np.random.RandomState(0)
    noise = [(rng.randint(0, 60, (8, 8)).astype(np.uint8), 0) for _ in range(130)]
    bright = [(np.full((8, 8), 200, np.uint8), 0)] * 60
    pool = pool_of(raw(train=noise[:60], val=[noise[60]], test=noise[61:] + bright))
    result = intensity_differences(pool, mean_levels(pool))[0]
    assert result.distance < 0.3 and not result.strong


def test_distances_are_those_of_kolmogorov_and_smirnov(raw):
    levels = np.random.RandomState(0).randint(0, 40, 90)  # with ties
    rows = [(np.full((8, 8), level, np.uint8) + np.eye(8, dtype=np.uint8) * k, 0) for k, level in enumerate(levels)]
    pool = pool_of(raw(train=rows[:60], val=rows[60:62], test=rows[62:]))
    expected = ks_2samp(levels[62:], levels[:60]).statistic
    (result, *_) = intensity_differences(pool, levels)
    assert result.distance == pytest.approx(expected, abs=6e-4)


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
    result = flat_images(pool, deviations(pool))
    assert result.constant == {"train": 1, "val": 0, "test": 1}
    assert result.near_constant == {"train": 1, "val": 0, "test": 0}
    assert [image.name for image in result.names] == ["train 0", "train 2", "test 0"]


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
    result = flat_images(pool, deviations(pool))
    assert result.few_levels == {"train": 1, "val": 0, "test": 1}
    assert [image.name for image in result.names] == ["train 1", "train 2", "test 0"]


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
