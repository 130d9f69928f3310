import numpy as np
import pytest
from scipy.stats import ks_2samp

from medbench.audit.distributions import intensities, intensity_differences, mean_levels, sizes
from medbench.audit.pool import group_crossings, pool_of


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
    found = sizes(pool_of(data), "train")
    assert (found.width.smallest, found.width.median, found.width.largest) == (14, 14, 300)
    assert (found.height.smallest, found.height.median, found.height.largest) == (10, 10, 100)
    assert found.distinct == 3


def test_intensities_are_those_of_all_pixels(noise):
    data = noise(train=0, val=30, test=100)
    pixels = data.splits["val"].images
    found = intensities(data, "val")
    assert found.mean == pytest.approx(pixels.mean(), abs=0.01)
    assert found.sd == pytest.approx(pixels.std(), abs=0.01)
    expected = np.percentile(pixels, [1, 5, 50, 95, 99], method="inverted_cdf")
    assert list(found.percentiles.values()) == expected.tolist()
    assert sum(found.histogram) == pytest.approx(1, abs=1e-4)
    assert found.histogram[:7] == [0] * 7  # nothing below 28


def test_a_brighter_split_is_strongly_different(noise):
    pool = pool_of(noise(train=0, val=0, test=30))
    found = {(each.split, each.other): each for each in intensity_differences(pool, mean_levels(pool))}
    assert found["test", "train"].distance == 1
    assert found["test", "train"].strong
    assert found["test", "val"].strong
    assert not found["val", "train"].strong
    assert found["val", "train"].enough
    assert found["val", "train"].classes == {}  # 30 images each


def test_a_class_that_differs_is_found_though_all_together_hardly_do(raw):
    rng = np.random.RandomState(0)

    def rows(levels, label):
        return [(rng.randint(0, 60, (8, 8)).astype(np.uint8) + np.uint8(level), label) for level in levels]

    train, test = rows([0] * 100, 0) + rows([50] * 60, 1), rows([0] * 100, 0) + rows([0] * 60, 1)
    pool = pool_of(raw(train=train, val=rows([0] * 3, 0), test=test))
    found, to_val, _ = intensity_differences(pool, mean_levels(pool))
    assert list(found.classes) == ["b", "a"]
    assert found.classes["b"] == 1 and found.classes["a"] < 0.3
    assert found.strong
    assert not to_val.enough and not to_val.strong


def test_repeats_of_a_bright_image_count_once(raw):
    rng = np.random.RandomState(0)
    noise = [(rng.randint(0, 60, (8, 8)).astype(np.uint8), 0) for _ in range(130)]
    bright = [(np.full((8, 8), 200, np.uint8), 0)] * 60
    pool = pool_of(raw(train=noise[:60], val=[noise[60]], test=noise[61:] + bright))
    found = intensity_differences(pool, mean_levels(pool))[0]
    assert found.distance < 0.3 and not found.strong


def test_distances_are_those_of_kolmogorov_and_smirnov(raw):
    levels = np.random.RandomState(0).randint(0, 40, 90)  # with ties
    rows = [(np.full((8, 8), level, np.uint8) + np.eye(8, dtype=np.uint8) * k, 0) for k, level in enumerate(levels)]
    pool = pool_of(raw(train=rows[:60], val=rows[60:62], test=rows[62:]))
    expected = ks_2samp(levels[62:], levels[:60]).statistic
    (found, *_) = intensity_differences(pool, levels)
    assert found.distance == pytest.approx(expected, abs=6e-4)


def test_a_few_images_are_no_strong_difference(raw):
    rows = [(np.full((4, 4), level, np.uint8), level % 2) for level in range(10)]
    pool = pool_of(raw(train=rows[:6], val=rows[6:8], test=rows[8:]))
    assert not any(each.strong for each in intensity_differences(pool, mean_levels(pool)))


def test_groups_in_two_splits_are_counted(raw, picture):
    data = raw(
        train=[(picture(0), 0, 7), (picture(1), 1, 8), (picture(2), 1, 9)],
        val=[(picture(3), 0, 20)],
        test=[(picture(4), 0, 8), (picture(5), 1, 8), (picture(6), 1, 9), (picture(7), 1, 21)],
    )
    (found,) = group_crossings(pool_of(data))
    assert (found.split, found.other, found.groups, found.images) == ("test", "train", 2, 3)
