import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch.distributions import Normal, kl_divergence

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.first_stage import (
    AutoencoderAugmenter,
    Autoencoding,
    color_whitening,
    reconstruction_scores,
    ssim,
)
from medbench.core.rng import numpy_rng
from medbench.training.task import Batch, Draws


def task(**settings) -> Autoencoding:
    section = Autoencoder(kind="autoencoder", steps=8, batch_size=8, discriminator_width=8, **settings)
    torch.manual_seed(0)
    down, up = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    vae = AutoencoderKL(1, 1, down, up, (8, 16), norm_num_groups=2)
    augmenter = AutoencoderAugmenter(section, ImageSpec(1, (12, 12), ("a", "b"), horizontal_flip=False))
    return Autoencoding(augmenter, vae, images(4))


def images(n: int) -> torch.Tensor:
    return torch.from_numpy(numpy_rng(0, "images").randint(0, 256, (n, 1, 12, 12)).astype(np.uint8))


def batch(step: int, n: int = 8) -> Batch:
    return Batch(images(n), torch.zeros(n, dtype=torch.int64), step, Draws(torch.Generator().manual_seed(5)))


def test_the_loss_is_l1_and_the_kl_of_the_latents_per_element_of_the_image():
    without, with_kl = (task(kl_weight=w).losses["vae"](batch(1)).item() for w in (0, 2))
    network, x = task().networks["vae"], images(8).float() / 127.5 - 1
    latents = network.encode(x).latent_dist
    kl = kl_divergence(Normal(latents.mean, latents.std), Normal(0, 1)).sum()
    assert with_kl - without == pytest.approx(2 * kl.item() / x.numel(), rel=1e-4)
    drawn = latents.sample(torch.Generator().manual_seed(5))
    assert without == pytest.approx((network.decode(drawn).sample - x).abs().mean().item(), rel=1e-5)


def test_the_adversarial_term_comes_after_the_warm_up_with_its_weight():
    losses = {}
    for step in (4, 5):
        ours = task(discriminator_from=0.5, discriminator_weight=0.3)
        losses[step] = ours.losses["vae"](batch(step)).item()
    fake = ours._pair[1]
    score = ours.networks["discriminator"](fake).mean().item()
    assert losses[5] - losses[4] == pytest.approx(-0.3 * score, rel=1e-4)


def test_the_discriminator_rests_in_the_warm_up_and_then_learns_from_its_own_loss_alone():
    ours = task(discriminator_from=0.5)
    ours.losses["vae"](batch(4)).backward()
    assert ours.losses["discriminator"](batch(4)) is None
    ours.losses["vae"](batch(5)).backward()
    assert all(weight.grad is None for weight in ours.networks["discriminator"].parameters())
    before = [weight.grad.clone() for weight in ours.networks["vae"].parameters()]
    ours.losses["discriminator"](batch(5)).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in ours.networks["discriminator"].parameters())
    after = [weight.grad for weight in ours.networks["vae"].parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_discriminator_learns_to_tell_real_from_reconstructed():
    ours = task(discriminator_from=0.5)
    ours.losses["vae"](batch(5))
    optimizer = torch.optim.Adam(ours.networks["discriminator"].parameters(), 1e-3)
    losses = []
    for _ in range(20):
        losses.append(ours.losses["discriminator"](batch(5)))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    real, fake = (ours.networks["discriminator"](x).mean().item() for x in ours._pair)
    assert losses[-1] < 0.7 * losses[0]
    assert real > fake


def test_without_weight_there_is_no_discriminator():
    assert list(task(discriminator_weight=0).networks) == ["vae"]


@pytest.mark.parametrize("flips", [False, True])
def test_training_images_are_mirrored_where_they_may_be(flips):
    ours, seen = task(horizontal_flip=flips), []
    ours.networks["vae"].encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    ours.losses["vae"](batch(1, 40))
    x = images(40).float() / 127.5 - 1
    mirrored = sum(torch.equal(a, b.flip(-1)) for a, b in zip(seen[0], x, strict=True))
    kept = sum(torch.equal(a, b) for a, b in zip(seen[0], x, strict=True))
    assert mirrored + kept == 40
    assert (8 < mirrored < 32) if flips else mirrored == 0


# Scores ---------------------------------------------------------------------------------------------------------


def test_scores_of_a_known_error():
    real = images(5) // 2 + 40
    scores = reconstruction_scores(lambda x: (x + 5).float() / 127.5 - 1, real, batch_size=2)
    assert scores["psnr"] == pytest.approx(10 * np.log10(255**2 / 25))
    assert scores["l1"] == pytest.approx(5 / 127.5, rel=1e-5)
    assert 0.9 < scores["ssim"] < 1


def test_scores_of_equal_images_are_finite():
    scores = reconstruction_scores(lambda x: x.float() / 127.5 - 1, images(3), batch_size=2)
    assert scores["psnr"] == pytest.approx(10 * np.log10(255**2 * 3 * 144))
    assert scores["ssim"] == pytest.approx(1)
    assert scores["l1"] == pytest.approx(0, abs=1e-6)


def colored(n: int = 40) -> torch.Tensor:
    """Images (N, 3, 8, 8) uint8 that differ much in brightness, a little in red and less in blue."""
    rng = np.random.RandomState(0)
    brightness, red, blue = (rng.normal(0, sd, (n, 1, 8, 8)) for sd in (30, 6, 3))
    pixels = np.concatenate([brightness + red, brightness, brightness + blue], axis=1) + 128
    return torch.from_numpy(pixels.clip(0, 255).round().astype(np.uint8))


def test_whitened_colors_are_uncorrelated_and_vary_alike():
    pictures = colored()
    before = pictures.transpose(0, 1).reshape(3, -1).double()
    after = torch.cov(color_whitening(pictures, 1).double() @ before)
    expected = torch.eye(3).double() * torch.cov(before).diagonal().mean()
    torch.testing.assert_close(after, expected, rtol=1e-3, atol=0.2)  # variances of N, not of N - 1; a float32 matrix


def test_a_part_of_whitening_is_a_part_of_the_way():
    """Applied twice, half of it is the whole of it; none of it changes nothing."""
    pictures = colored()
    half, whole = (color_whitening(pictures, strength) for strength in (0.5, 1))
    torch.testing.assert_close(half @ half, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(color_whitening(pictures, 0), torch.eye(3), rtol=0, atol=1e-6)


def test_whitening_leaves_one_channel_alone_and_weighs_no_hue_without_end():
    pictures = colored()
    torch.testing.assert_close(color_whitening(pictures[:, :1], 1), torch.ones(1, 1))
    weights = torch.linalg.svdvals(color_whitening(pictures[:, :1].expand(-1, 3, -1, -1), 1))
    assert weights.max() / weights.min() == pytest.approx(1000**0.5, rel=1e-4)


def test_the_loss_is_the_l1_of_whitened_colors():
    ours = task(kl_weight=0)
    plain = ours.losses["vae"](batch(1)).item()
    ours.colors = torch.full((1, 1), 3.0)
    assert ours.losses["vae"](batch(1)).item() == pytest.approx(3 * plain, rel=1e-5)


def brute_force(a: np.ndarray, b: np.ndarray, window: int) -> float:
    """Wang et al. 2004, eq. 13, window by window, of one channel (H, W)."""
    offset = np.arange(window) - window // 2
    weights = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for i in range(a.shape[0] - window + 1):
        for j in range(a.shape[1] - window + 1):
            x, y = (image[i : i + window, j : j + window].astype(float) for image in (a, b))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            cov = (weights * (x - mx) * (y - my)).sum()
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


@pytest.fixture
def pair():
    rng = np.random.RandomState(0)

    def make(channels=1, height=16, width=14):
        a = rng.randint(0, 256, (2, channels, height, width)).astype(np.uint8)
        return a, np.clip(a + rng.normal(0, 40, a.shape), 0, 255).astype(np.uint8)

    return make


@pytest.mark.parametrize(
    ("channels", "height", "width", "window"), [(1, 16, 14, 11), (3, 12, 11, 11), (1, 10, 20, 9), (1, 9, 8, 7)]
)
def test_is_wangs_formula(pair, channels, height, width, window):
    a, b = pair(channels, height, width)
    wanted = [np.mean([brute_force(a[i, c], b[i, c], window) for c in range(channels)]) for i in range(2)]
    # float64 throughout; the window's weights are float32 in torchvision.
    np.testing.assert_allclose(ssim(torch.from_numpy(a), torch.from_numpy(b)), wanted, rtol=1e-6)


def test_equal_images_have_one(pair):
    a = torch.from_numpy(pair()[0])
    np.testing.assert_allclose(ssim(a, a), [1, 1], rtol=1e-12)


def test_flat_images_differ_by_luminance_alone():
    a, b = torch.full((1, 1, 12, 12), 100.0), torch.full((1, 1, 12, 12), 150.0)
    wanted = (2 * 100 * 150 + 2.55**2) / (100**2 + 150**2 + 2.55**2)
    # Variances of flat images are differences of rounded squares, 1e-12 beside c2 = 58.
    np.testing.assert_allclose(ssim(a, b), [wanted], rtol=1e-6)
