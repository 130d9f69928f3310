import colorsys
import math

import numpy as np
import pytest
import torch

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.classic import ClassicAugmenter
from medbench.augmenters.image_sections import Classic
from medbench.data.dataset import Split
from medbench.data.phantoms import render_split
from tests.helpers.jobs import job_in

STILL = {"rotation": 0, "shift": 0, "zoom": 0, "horizontal_flip": False}
UNLIT = {"brightness": 0, "contrast": 0, "hue": 0}
NOTHING = {**STILL, **UNLIT}


def sampled(folder, images, n=40, flip=False, any_hue=False, seed=1, **settings):
    """n images of the one class that `images` (N, H, W[, 3]) are."""
    spec = ImageSpec(1 if images.ndim == 3 else 3, images.shape[1:3], ("only",), flip, any_hue)
    augmenter = ClassicAugmenter(Classic(kind="classic", **settings), spec)
    rows = np.zeros(len(images), dtype=np.int64)
    job = job_in(folder / "checkpoints", seed)
    augmenter.fit(Split(images, rows, rows), Split(images, rows, rows), job)
    return augmenter.sample(np.zeros(n, dtype=np.int64), job).images


def noise(*shape, n=8):
    return np.random.RandomState(0).randint(0, 256, (n, *shape)).astype(np.uint8)


def hues(images):
    """Of the mean colour of each image (N, H, W, 3), in turns of the colour circle."""
    return np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in images.mean((1, 2)) / 255])


def lying(image):
    return image.tobytes(), image[:, ::-1].tobytes()


@pytest.mark.parametrize("shape", [(12, 12), (10, 14, 3)])
def test_image_i_depends_on_the_seed_and_i_alone(tmp_path, shape):
    many = sampled(tmp_path, noise(*shape), n=20, sample_batch_size=7)
    assert (many.shape, many.dtype) == ((20, *shape), np.uint8)
    np.testing.assert_array_equal(many[:5], sampled(tmp_path, noise(*shape), n=5, sample_batch_size=1))
    assert not np.array_equal(many, sampled(tmp_path, noise(*shape), n=20, seed=2))
    # 20 images of 8 real ones: the uses of one differ.
    assert len({image.tobytes() for image in many}) > 16


def test_the_draws_of_others_are_left_alone(tmp_path):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    sampled(tmp_path, noise(8, 8), n=3)
    assert torch.equal(torch.rand(3), expected)


def test_with_everything_off_the_images_are_real_ones(tmp_path):
    real = noise(9, 9)
    assert {image.tobytes() for image in sampled(tmp_path, real, **NOTHING)} == {image.tobytes() for image in real}


@pytest.mark.parametrize(
    ("section", "dataset", "mirrored"), [(None, True, True), (None, False, False), (True, False, True)]
)
def test_images_are_mirrored_where_the_dataset_or_the_study_says_so(tmp_path, section, dataset, mirrored):
    real = noise(9, 9)
    samples = sampled(tmp_path, real, flip=dataset, **{**NOTHING, "horizontal_flip": section})
    straight, turned = zip(*map(lying, real), strict=True)
    matches = [(image.tobytes() in straight, image.tobytes() in turned) for image in samples]
    assert set(matches) == ({(True, False), (False, True)} if mirrored else {(True, False)})


def test_a_rotation_turns_around_the_centre_by_at_most_its_angle(tmp_path):
    """A dot right of the centre keeps its distance."""
    real = np.zeros((1, 41, 41), dtype=np.uint8)
    real[0, 19:22, 29:32] = 255  # centre of the dot: 10 pixels to the right
    samples = sampled(tmp_path, real, **{**NOTHING, "rotation": 20}).astype(float)
    weights = samples.sum((1, 2))
    down, right = ((samples.sum(axis) * (np.arange(41) - 20)).sum(1) / weights for axis in (2, 1))
    # Bilinear interpolation moves the dot's centre by less than a fifth of a pixel: 0.05 was seen.
    np.testing.assert_allclose(np.hypot(down, right), 10, atol=0.2)
    angles = np.degrees(np.arctan2(down, right))
    assert np.abs(angles).max() < 20 + 1
    assert angles.min() < -10
    assert angles.max() > 10


@pytest.mark.parametrize(("key", "value"), [("shift", 0.2), ("zoom", 0.3)])
def test_a_shift_and_a_zoom_go_as_far_as_they_say(tmp_path, key, value):
    """Two dots on the horizontal axis, 10 pixels from the centre: their middle moves, or their distance changes."""
    real = np.zeros((1, 41, 41), dtype=np.uint8)
    real[0, 19:22, 9:12] = real[0, 19:22, 29:32] = 255
    samples = sampled(tmp_path, real, n=200, **{**NOTHING, key: value}).astype(float)
    place, columns = np.arange(41) - 20, samples.sum(1)
    middle = (columns * place).sum(1) / columns.sum(1)
    spread = np.sqrt((columns * (place - middle[:, None]) ** 2).sum(1) / columns.sum(1))
    change = middle / 41 if key == "shift" else spread / 10 - 1
    assert np.abs(change).max() < value + 0.02  # a dot of 3 pixels has a spread of its own
    assert change.min() < -0.8 * value
    assert change.max() > 0.8 * value


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
@pytest.mark.parametrize(
    "moves",
    [
        {},
        {"rotation": 180},
        {"rotation": 0, "shift": 0.25, "zoom": 0.25},
        {"rotation": 180, "shift": 0.1, "zoom": 0.1},
    ],
)
def test_no_black_comes_in(tmp_path, size, moves):
    white = np.full((2, *size), 255, dtype=np.uint8)
    assert (sampled(tmp_path, white, n=200, **UNLIT, **moves) == 255).all()


def test_a_tongue_keeps_its_hue(tmp_path):
    """Yellow stays yellow. RandAugment, by which this kind once changed all images, moves hues by up to a half turn."""
    real = render_split("tongue", "train", [20, 20, 20], 32, 0)[0]
    apart = {}
    for name, settings in {"default": {}, "randaugment": {"randaugment": {}}}.items():
        samples = np.concatenate([sampled(tmp_path, image[None], n=4, **settings) for image in real])
        difference = np.abs(hues(samples) - np.repeat(hues(real), 4))
        apart[name] = np.minimum(difference, 1 - difference).max()
    assert apart["default"] < 0.01 < 0.1 < apart["randaugment"]


def test_light_keeps_the_order_of_grey_levels(tmp_path):
    """Nothing is solarized, which inverts, nor posterized or equalized, which would leave few levels or spread them."""
    ramp = np.arange(50, 206, dtype=np.uint8).reshape(1, 12, 13)
    samples = sampled(tmp_path, ramp, n=100, **STILL).reshape(100, -1).astype(int)
    steps = np.diff(samples, axis=1)
    assert steps.min() >= 0
    assert steps.max() <= 3  # two changes, each to whole numbers
    slope = (samples[:, -1] - samples[:, 0]) / 155
    assert 0.8 < slope.min() < 0.95 < 1.05 < slope.max() < 1.25


@pytest.mark.parametrize(
    ("section", "dataset", "changed"), [(None, True, True), (None, False, False), (True, False, True)]
)
def test_the_hue_changes_where_the_dataset_or_the_study_says_so(tmp_path, section, dataset, changed):
    real = np.full((1, 8, 8, 3), (200, 100, 100), dtype=np.uint8)
    samples = sampled(tmp_path, real, any_hue=dataset, **{**NOTHING, "hue": 0.1, "hue_shift": section})
    turns = (hues(samples) + 0.5) % 1 - 0.5
    assert np.abs(turns).max() < 0.105
    assert (turns.std() > 0.03) if changed else (samples == real).all()


@pytest.mark.parametrize(("magnitude", "identities"), [(0, 11), (30, 1)])
def test_randaugment_draws_one_of_its_14_operations_at_its_magnitude(tmp_path, magnitude, identities):
    """At 0 all but Solarize (from 255), AutoContrast and Equalize change nothing; at 30 only Identity."""
    real = noise(16, 16, 3)
    known = {image.tobytes() for image in real}
    samples = sampled(tmp_path, real, n=200, **NOTHING, randaugment={"operations": 1, "magnitude": magnitude})
    share = identities / 14
    deviation = math.sqrt(share * (1 - share) / 200)
    assert np.mean([image.tobytes() in known for image in samples]) == pytest.approx(share, abs=4 * deviation)
