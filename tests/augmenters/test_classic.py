import math

import numpy as np
import pytest
import torch

from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.classic import ClassicAugmenter
from medbench.augmenters.sections import Classic
from medbench.data.dataset import Split
from medbench.runtime import Runtime

NOTHING = {"rotation": 0, "operations": 0, "horizontal_flip": False}


def sampled(folder, images, n=40, flip=False, seed=1, **settings):
    """n images of the one class that `images` (N, H, W[, 3]) are."""
    spec = ImageSpec(1 if images.ndim == 3 else 3, images.shape[1:3], ("only",), flip)
    augmenter = ClassicAugmenter(Classic(kind="classic", **settings), spec)
    rows = np.zeros(len(images), dtype=np.int64)
    runtime = Runtime("cpu", "fp32", 1, False)
    job = Job(seed, 2, folder / "checkpoints", {}, runtime, "classic")
    augmenter.fit(Split(images, rows, rows), Split(images, rows, rows), job)
    return augmenter.sample(np.zeros(n, dtype=np.int64), job).images


def noise(*shape, n=8):
    return np.random.RandomState(0).randint(0, 256, (n, *shape)).astype(np.uint8)


def lying(image):
    return image.tobytes(), image[:, ::-1].tobytes()


@pytest.mark.parametrize("shape", [(12, 12), (10, 14, 3)])
def test_image_i_depends_on_the_seed_and_i_alone(tmp_path, shape):
    many = sampled(tmp_path, noise(*shape), n=20, sample_batch_size=7)
    assert (many.shape, many.dtype) == ((20, *shape), np.uint8)
    np.testing.assert_array_equal(many[:5], sampled(tmp_path, noise(*shape), n=5, sample_batch_size=1))
    assert not np.array_equal(many, sampled(tmp_path, noise(*shape), n=20, seed=2))
    # 20 images of 8 real ones: the uses of one differ. Two may meet where both drew operations that change nothing.
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
    made = sampled(tmp_path, real, flip=dataset, **{**NOTHING, "horizontal_flip": section})
    straight, turned = zip(*map(lying, real), strict=True)
    found = [(image.tobytes() in straight, image.tobytes() in turned) for image in made]
    assert set(found) == ({(True, False), (False, True)} if mirrored else {(True, False)})


def test_a_rotation_turns_around_the_centre_by_at_most_its_angle(tmp_path):
    """A dot right of the centre keeps its distance."""
    real = np.zeros((1, 41, 41), dtype=np.uint8)
    real[0, 19:22, 29:32] = 255  # centre of the dot: 10 pixels to the right
    made = sampled(tmp_path, real, **{**NOTHING, "rotation": 20}).astype(float)
    weights = made.sum((1, 2))
    down, right = ((made.sum(axis) * (np.arange(41) - 20)).sum(1) / weights for axis in (2, 1))
    # Bilinear interpolation moves the dot's centre by less than a fifth of a pixel: 0.05 was seen.
    np.testing.assert_allclose(np.hypot(down, right), 10, atol=0.2)
    angles = np.degrees(np.arctan2(down, right))
    assert np.abs(angles).max() < 20 + 1
    assert angles.min() < -10
    assert angles.max() > 10


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_a_rotation_brings_no_black_in(tmp_path, size):
    white = np.full((2, *size), 255, dtype=np.uint8)
    assert (sampled(tmp_path, white, **{**NOTHING, "rotation": 180}) == 255).all()


@pytest.mark.parametrize(("magnitude", "identities"), [(0, 11), (30, 1)])
def test_randaugment_draws_one_of_its_14_operations_at_its_magnitude(tmp_path, magnitude, identities):
    """At 0 all but Solarize (from 255), AutoContrast and Equalize change nothing; at 30 only Identity."""
    real = noise(16, 16, 3)
    known = {image.tobytes() for image in real}
    made = sampled(tmp_path, real, n=200, **{**NOTHING, "operations": 1, "magnitude": magnitude})
    share = identities / 14
    deviation = math.sqrt(share * (1 - share) / 200)
    assert np.mean([image.tobytes() in known for image in made]) == pytest.approx(share, abs=4 * deviation)
