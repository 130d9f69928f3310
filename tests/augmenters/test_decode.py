"""What the VAE and the GAN share: from training to images in one pass of a decoder, for any size of image."""

import numpy as np
import pytest
import torch

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import ImageSpec
from medbench.augmenters.decoder_sections import CGAN, CVAE
from medbench.augmenters.latent_decoder import LatentDecoder, halved_sizes
from tests.helpers.jobs import job_in, stopped_at

LABELS = np.arange(10) % 2
SECTIONS = {"cvae": CVAE, "cgan": CGAN}
COMPONENTS = {"cvae": ["vae"], "cgan": ["generator", "discriminator"]}
PROBES = {"cvae": {"val_mse", "val_kl"}, "cgan": {"loss_discriminator", "val_real_score", "val_fake_score"}}


@pytest.fixture(params=sorted(SECTIONS))
def kind(request):
    return request.param


def section(kind, **settings):
    base = {"kind": kind, "width": 8, "latent_dim": 4, "steps": 6, "batch_size": 8, "log_every": 3}
    return SECTIONS[kind](**{**base, "ema_decay": 0.9, "checkpoint_every": 3, **settings})


@pytest.fixture
def job(tmp_path):
    return lambda name: job_in(tmp_path / name)


@pytest.fixture
def fitted(tiny_dataset, job):
    """A function that trains for a moment: the augmenter and its log."""

    def make(wanted, name="fit", channels=1):
        dataset = tiny_dataset(channels=channels)
        augmenter = augmenter_class(wanted.kind)(wanted, ImageSpec.of_card(dataset.card))
        return augmenter, augmenter.fit(dataset.splits["train"], dataset.splits["val"], job(name))

    return make


def test_sizes_halve_to_about_four_pixels():
    assert halved_sizes((28, 28)) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    for side in range(6, 300):
        assert 3 <= min(halved_sizes((side, 2 * side))[-1]) <= 6


@pytest.mark.parametrize("size", [(28, 28), (30, 30), (17, 23), (64, 64), (4, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_decoder_makes_any_size(size, channels):
    decoder = LatentDecoder(channels, size, n_classes=3, width=8, latent_dim=4)
    images = decoder(torch.randn(2, 4), torch.tensor([0, 2]))
    assert images.shape == (2, channels, *size)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("steps, settings", [(60, {}), (100, {"color": False})], ids=["cvae", "cgan"])
def test_the_class_decides_what_is_made(request, job, fitted, steps, settings):
    kind = request.node.callspec.id
    augmenter, _ = fitted(section(kind, steps=steps, batch_size=16, learning_rate=3e-3, ema_decay=0.5, **settings))
    images = augmenter.sample(LABELS, job("sample")).images
    dark, bright = images[::2].mean(), images[1::2].mean()
    assert bright - dark > 45  # the classes differ by 90 grey levels


def test_the_log_has_the_losses_and_the_numbers_on_fixed_validation_images(kind, fitted):
    augmenter, rows = fitted(section(kind))
    assert [row["step"] for row in rows] == [3, 6]
    assert all(set(row) == {"component", "step", "images_seen", "loss"} | PROBES[kind] for row in rows)
    assert {row["component"] for row in rows} == {COMPONENTS[kind][0]}
    assert list(augmenter.parameters()) == COMPONENTS[kind]


@pytest.mark.parametrize("channels", [1, 3])
def test_saved_and_loaded_makes_the_same_images(kind, tmp_path, fitted, job, channels):
    augmenter, _ = fitted(section(kind), channels=channels)
    augmenter.save(tmp_path / "model")
    again = type(augmenter).load(augmenter.section, augmenter.spec, tmp_path / "model")
    samples = augmenter.sample(LABELS, job("a"))
    assert samples.images.shape == ((10, 12, 12) if channels == 1 else (10, 12, 12, 3))
    np.testing.assert_array_equal(samples.images, again.sample(LABELS, job("b")).images)
    np.testing.assert_array_equal(samples.labels, LABELS)
    first = COMPONENTS[kind][0]
    assert again.parameters()[first] == augmenter.parameters()[first] > 0


def test_images_do_not_depend_on_the_batch_size_nor_on_how_many_follow(kind, fitted, job):
    augmenter, _ = fitted(section(kind))
    many = augmenter.sample(LABELS, job("many"))
    augmenter.section = section(kind, sample_batch_size=1)
    few = augmenter.sample(LABELS[:4], job("few"))
    # Another batch size rounds differently in the last bits of float32; one grey level is what that can flip.
    assert np.abs(many.images[:4].astype(int) - few.images).max() <= 1
    assert len({image.tobytes() for image in many.images}) == 10


def test_interrupted_and_resumed_is_bit_identical(kind, fitted):
    whole, history = fitted(section(kind), "whole")
    with stopped_at(4):
        fitted(section(kind), "cut")
    resumed, history_of_resumed = fitted(section(kind), "cut")
    assert history_of_resumed == history
    for a, b in zip(
        *([n.state_dict() for n in augmenter.networks.values()] for augmenter in (whole, resumed)), strict=True
    ):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)  # buffers of the spectral norm among them
