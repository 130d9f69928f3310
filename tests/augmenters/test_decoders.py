"""Networks of a latent vector: any size, classes that matter; the VAE's bound against torch's distributions."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import ImageSpec
from medbench.augmenters.cvae import ROUNDING_VARIANCE, ConditionalVAE, CVAEAugmenter, EvidenceBound, negative_bound
from medbench.augmenters.decoder_sections import CGAN, CVAE
from medbench.augmenters.discriminators import ProjectionDiscriminator
from medbench.augmenters.image_tensors import to_model_range
from medbench.augmenters.latent_vectors import LatentDecoder, halved_sizes
from medbench.training.task import Batch, Draws
from tests.helpers.jobs import job_in

TRAINED = {"width": 8, "latent_dim": 4, "batch_size": 16, "learning_rate": 3e-3, "ema_decay": 0.5}


def test_sizes_halve_to_about_four_pixels():
    assert halved_sizes((28, 28)) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    for side in range(6, 300):
        assert 3 <= min(halved_sizes((side, 2 * side))[-1]) <= 6


@pytest.mark.parametrize("size", [(28, 28), (30, 30), (17, 23), (64, 64), (4, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_is_made_encoded_and_scored(size, channels):
    labels = torch.tensor([0, 2])
    images = LatentDecoder(channels, size, n_classes=3, width=8, latent_dim=4)(torch.randn(2, 4), labels)
    assert images.shape == (2, channels, *size)
    assert images.abs().max() <= 1
    reconstructions, kl = ConditionalVAE(channels, size, n_classes=3, width=8, latent_dim=4)(images, labels)
    assert (reconstructions.shape, kl.shape) == (images.shape, (2,))
    assert ProjectionDiscriminator(channels, size, n_classes=3, width=8)(images, labels).shape == (2,)


@pytest.mark.parametrize(
    "section",
    [CVAE(kind="cvae", steps=60, **TRAINED), CGAN(kind="cgan", steps=100, color=False, **TRAINED)],
    ids=["cvae", "cgan"],
)
def test_the_class_decides_what_is_made(tmp_path, tiny_dataset, section):
    dataset, labels = tiny_dataset(), np.arange(10) % 2
    augmenter = augmenter_class(section.kind)(section, ImageSpec.of_card(dataset.card))
    augmenter.fit(dataset.splits["train"], dataset.splits["val"], job_in(tmp_path / "fit"))
    images = augmenter.sample(labels, job_in(tmp_path / "sample")).images
    assert images[1::2].mean() - images[::2].mean() > 45  # the classes differ by 90 grey levels


# The VAE ---------------------------------------------------------------------------------------------------------


def test_the_bound_is_the_best_gaussian_likelihood_and_the_kl():
    generator = torch.Generator().manual_seed(0)
    images, reconstructions = torch.randn(2, 5, 3, 4, 4, generator=generator)
    kl = torch.rand(5, generator=generator)
    sigmas = torch.linspace(0.5, 3, 2001)
    nll = torch.stack([-Normal(reconstructions, sigma).log_prob(images).mean() for sigma in sigmas]).min()
    # σ² is about 2, of which rounding adds 1e-6; the grid of σ misses the best one's likelihood by 1e-6.
    expected = nll + 3 * kl.mean() / (3 * 4 * 4)
    torch.testing.assert_close(negative_bound(images, reconstructions, kl, 3.0), expected, atol=1e-5, rtol=1e-5)


def test_a_perfect_reconstruction_has_a_finite_bound():
    images = torch.zeros(2, 1, 4, 4)
    bound = negative_bound(images, images, torch.zeros(2), 1.0)
    assert float(bound) == pytest.approx(0.5 * np.log(2 * np.pi * np.e * ROUNDING_VARIANCE))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ConditionalVAE(1, (12, 12), 2, width=8, latent_dim=4)


def test_kl_is_that_of_the_latent_that_is_drawn(network):
    images, labels = torch.rand(3, 1, 12, 12), torch.tensor([0, 1, 0])
    posterior = network.encoder(images, labels)
    normal = Normal(posterior.mean.flatten(1), posterior.std.flatten(1))
    torch.testing.assert_close(network(images, labels)[1], kl_divergence(normal, Normal(0, 1)).sum(1))


def test_encoder_and_decoder_are_both_told_the_class(network):
    image, latent = torch.rand(1, 1, 12, 12).expand(2, -1, -1, -1), torch.zeros(2, 4)
    labels = torch.tensor([0, 1])
    for output in (network.encoder(image, labels).mean, network.decoder(latent, labels)):
        assert not torch.allclose(output[0], output[1], atol=1e-3)


def test_the_bound_is_full_precision_where_the_network_is_not(network):
    images, labels = torch.rand(3, 1, 12, 12), torch.tensor([0, 1, 0])
    with torch.autocast("cpu", torch.bfloat16):
        reconstructions, kl = network(images, labels, Draws(torch.Generator().manual_seed(0)))
        bound = negative_bound(images, reconstructions, kl, 1.0)
    assert (reconstructions.dtype, kl.dtype, bound.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert torch.isfinite(bound)


class Seen(torch.nn.Module):
    """In place of the network: returns the images that it is given."""

    def forward(self, images, labels, draws=None):
        return images, torch.zeros(len(images))


@pytest.mark.parametrize("flips", [True, False])
def test_training_images_are_mirrored_only_where_asked(tiny_dataset, tmp_path, monkeypatch, flips):
    dataset = tiny_dataset()
    augmenter = CVAEAugmenter(CVAE(kind="cvae", horizontal_flip=flips), ImageSpec.of_card(dataset.card))
    task = EvidenceBound(augmenter, Seen(), dataset.splits["val"], job_in(tmp_path))
    seen = []
    monkeypatch.setattr("medbench.augmenters.cvae.negative_bound", lambda images, *rest: seen.append(images))
    images = torch.from_numpy(dataset.splits["train"].images)[:, None]
    task.losses["vae"](Batch(images, torch.zeros(40, dtype=torch.int64), 1, Draws(torch.Generator().manual_seed(0))))
    given = to_model_range(images)
    same, turned = ((seen[0] == x).flatten(1).all(1) for x in (given, given.flip(-1)))
    assert (same | turned).all()
    assert 10 < int(turned.sum()) < 30 if flips else same.all()
