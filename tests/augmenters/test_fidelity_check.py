"""Which checkpoint is kept, and when a check is refused; with pixels in the place of Inception's features."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medbench.augmenters import conditional_diffusion
from medbench.augmenters.base import Inception
from medbench.augmenters.batches import Drawn
from medbench.augmenters.conditional_diffusion import FidelityCheck
from medbench.augmenters.diffusion_sections import CDDPM
from medbench.core.errors import UserError
from medbench.data.dataset import Split
from medbench.fidelity.kid import kernels, kid
from medbench.run.files import sha256_of
from tests.helpers.jobs import job_in

SIZE = 6


def pixels(n=60, mean=128.0, seed=0) -> np.ndarray:
    drawn = np.random.RandomState(seed).normal(mean, 20, (n, SIZE, SIZE))
    return drawn.round().clip(0, 255).astype(np.uint8)


class Pixels:
    """An extractor: the pixels themselves, by a matrix product that an autocast would make coarse."""

    def __init__(self, dimensions, state, weights_sha256=None, device="cpu"):
        self.key = str(dimensions[0])

    def features(self, images):
        flat = torch.from_numpy(images).float().reshape(len(images), -1) / 20 - 6.4
        return {self.key: (flat @ torch.eye(SIZE**2)).float().numpy()}


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(conditional_diffusion, "InceptionExtractor", Pixels)
    save_file({"weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    inception = Inception(tmp_path / "w.safetensors", sha256_of(tmp_path / "w.safetensors"))
    return job_in(tmp_path, title="train tiny cddpm", inception=inception)


def section(**settings) -> CDDPM:
    return CDDPM(**{"kind": "cddpm", "fidelity_checks": 3, "sample_batch_size": 7, **settings})


def val(n=60) -> Split:
    return Split(pixels(n), np.arange(n) % 2, np.arange(n))


def generator(images) -> SimpleNamespace:
    """In place of a sampler: hands out these images, and notes for what labels."""
    asked = []

    def draw(rows, labels):
        asked.append((rows, labels))
        return Drawn(torch.from_numpy(images[rows])[:, None])

    return SimpleNamespace(draw=draw, asked=asked)


def chosen(job, *checked, saved=False) -> float:
    """The weight that is kept of a network whose weight is k when it makes checked[k]."""
    check, network = FidelityCheck(section(), val(), job), nn.Linear(1, 1, bias=False)
    for k, images in enumerate(checked):
        nn.init.constant_(network.weight, k)
        check.measure(10 * k + 10, generator(images), network)
    if saved:
        torch.save(check.state(), job.checkpoints / "state.pt")
        check = FidelityCheck(section(), val(), job)
        check.restore(torch.load(job.checkpoints / "state.pt", weights_only=True))
    step = check.load_chosen(network)
    assert step == 10 * network.weight.item() + 10  # what is reported is what is kept
    return network.weight.item()


NEAR, FAR = pixels(seed=1), pixels(mean=140, seed=1)


@pytest.mark.parametrize("saved", [False, True])
def test_an_earlier_one_that_is_better_by_more_than_chance_is_kept(job, saved):
    assert chosen(job, FAR, NEAR, FAR, saved=saved) == 1


def test_an_earlier_one_that_is_better_by_chance_is_not_kept(job):
    """Two neighbours among eight draws of the same images, in the order of their KID."""
    draws = sorted((pixels(seed=seed) for seed in range(1, 9)), key=lambda images: distance(pixels(), images))
    assert chosen(job, *draws[3:5]) == 1


def distance(real, fake) -> float:
    extractor = Pixels([768], None)
    return kid(kernels(*(extractor.features(images)["768"] for images in (real, fake))))


def test_the_last_is_kept_where_it_is_the_best(job):
    assert chosen(job, FAR, FAR, NEAR) == 2


def test_kid_is_that_of_an_image_a_validation_label(job):
    check, draws = FidelityCheck(section(check_images=30), val(), job), generator(NEAR)
    row = check.measure(10, draws, nn.Linear(1, 1))
    labels = np.concatenate([labels for _, labels in draws.asked])
    assert np.concatenate([rows for rows, _ in draws.asked]).tolist() == list(range(30))
    assert max(len(rows) for rows, _ in draws.asked) == 7  # sample_batch_size
    real = seen(check)
    rows = [np.flatnonzero((pixels() == image).all((1, 2)))[0] for image in real]
    assert labels.tolist() == val().labels[rows].tolist()
    assert row == {"kid": pytest.approx(distance(real, NEAR[:30]), rel=1e-9)}


def seen(check) -> np.ndarray:
    """The validation images, back from their features."""
    return ((check.real + 6.4) * 20).round().astype(np.uint8).reshape(-1, SIZE, SIZE)


def test_every_check_and_every_generator_sees_the_same_validation_images(job):
    first = FidelityCheck(section(check_images=30), val(), job)
    other = FidelityCheck(section(check_images=30), val(), replace(job, seed=99))
    np.testing.assert_array_equal(first.real, other.real)
    assert len(np.unique(seen(first), axis=0)) == 30


def test_features_are_in_float32_under_a_training_in_bfloat16(job):
    def measured(enabled):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            check = FidelityCheck(section(), val(), job)
            return check.measure(10, generator(NEAR), nn.Linear(1, 1))

    assert measured(True) == measured(False)


def test_fewer_than_30_validation_images_are_refused(job):
    with pytest.raises(UserError, match=r"^train tiny cddpm: fidelity_checks need at least 30 .* are 29; set fid.*: 0"):
        FidelityCheck(section(), val(29), job)
    FidelityCheck(section(), val(30), job)


def test_checks_without_weights_are_refused(job):
    with pytest.raises(UserError, match=r"^train tiny cddpm: .* need Inception's weights \(--inception\)$"):
        FidelityCheck(section(), val(), replace(job, inception=None))


def test_weights_of_another_hash_are_refused(job):
    other = Inception(job.inception.path, "0" * 64)
    with pytest.raises(UserError, match=r"w\.safetensors: sha256 is [0-9a-f]{64}, expected 0{64}"):
        FidelityCheck(section(), val(), replace(job, inception=other))
