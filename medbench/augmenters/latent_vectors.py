"""Images to latent vectors and back, given a class: the VAE's encoder, and its decoder, also the GAN's generator."""

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor, nn

from medbench.augmenters.base import ImageSpec, Job, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.image_tensors import noise, to_uint8

SMALLEST = 4  # pixels, about, of the shorter side where halving ends
GROUP_WIDTH = 8  # channels that GroupNorm takes together; alone, a channel would lose its mean, and an image its colour


def halved_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """The image's size and its halves, each rounded up, until the shorter side has about 4 pixels (3 to 5).

    >>> halved_sizes((28, 30))
    [(28, 30), (14, 15), (7, 8), (4, 4)]
    """
    halvings = max(1, round(math.log2(min(size) / SMALLEST)))
    return [(-(-size[0] // 2**n), -(-size[1] // 2**n)) for n in range(halvings + 1)]


def stage_widths(width: int, stages: int) -> list[int]:
    """Channels from the full size down: doubled with every halving, up to four times.

    >>> stage_widths(32, 4)
    [32, 64, 128, 128]
    """
    return [width * min(2**n, 4) for n in range(stages)]


class ConditionalNorm(nn.Module):
    """GroupNorm whose scale and shift are a linear function of a condition (FiLM, Perez et al. 2018)."""

    def __init__(self, channels: int, condition_dim: int):
        super().__init__()
        self.norm = nn.GroupNorm(channels // GROUP_WIDTH, channels, affine=False)
        self.scale_shift = nn.Linear(condition_dim, 2 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, C, H, W), condition (B, condition_dim) -> (B, C, H, W)."""
        scale, shift = self.scale_shift(condition)[:, :, None, None].chunk(2, dim=1)
        return self.norm(x) * (1 + scale) + shift


class ConditionalBlock(nn.Module):
    """The layers of a residual block whose norms are conditioned."""

    STRIDE = 1  # of the first convolution

    def __init__(self, in_channels: int, out_channels: int, condition_dim: int):
        super().__init__()
        self.norm1 = ConditionalNorm(in_channels, condition_dim)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, self.STRIDE, padding=1)
        self.norm2 = ConditionalNorm(out_channels, condition_dim)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)


class UpBlock(ConditionalBlock):
    """Doubles the image: nearest neighbour, then convolutions, which leaves no checkerboard."""

    def forward(self, x: Tensor, condition: Tensor, size: tuple[int, int]) -> Tensor:
        """x (B, C, H, W) -> (B, out_channels, *size); a side that is not even loses its last row or column."""
        residual = self.conv1(_doubled(F.silu(self.norm1(x, condition)), size))
        residual = self.conv2(F.silu(self.norm2(residual, condition)))
        return _doubled(self.shortcut(x), size) + residual


def _doubled(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")[:, :, : size[0], : size[1]]


class DownBlock(ConditionalBlock):
    """Halves the image, its side rounded up."""

    STRIDE = 2

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, C, H, W), condition (B, condition_dim) -> (B, out_channels, ⌈H/2⌉, ⌈W/2⌉)."""
        residual = self.conv1(F.silu(self.norm1(x, condition)))
        residual = self.conv2(F.silu(self.norm2(residual, condition)))
        return self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)) + residual


class Encoder(nn.Module):
    """The approximate posterior q(z | image, class), a diagonal Gaussian."""

    def __init__(self, channels: int, size: tuple[int, int], n_classes: int, width: int, latent_dim: int):
        super().__init__()
        sizes = halved_sizes(size)
        widths = stage_widths(width, len(sizes))
        self.label = nn.Embedding(n_classes, latent_dim)
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.downs = nn.ModuleList(DownBlock(narrow, wide, latent_dim) for narrow, wide in pairwise(widths))
        self.norm_out = ConditionalNorm(widths[-1], latent_dim)
        self.moments = nn.Linear(widths[-1] * math.prod(sizes[-1]), 2 * latent_dim)

    def forward(self, images: Tensor, labels: Tensor) -> DiagonalGaussianDistribution:
        """images (B, C, H, W) in [-1, 1], labels (B,) -> a distribution over (B, latent_dim, 1, 1)."""
        condition, x = self.label(labels), self.conv_in(images)
        for down in self.downs:
            x = down(x, condition)
        moments = self.moments(F.silu(self.norm_out(x, condition)).flatten(1))
        return DiagonalGaussianDistribution(moments.float()[:, :, None, None])


class LatentDecoder(ModelMixin, ConfigMixin):
    """Image from a latent vector and a class, both of which also steer every normalisation (Brock et al. 2019).

    Any size, height and width in pixels: stages have those of `halved_sizes`, so nothing is padded and only odd sides
    are cropped. `width` is that at full size in channels, a multiple of 8.
    """

    @register_to_config
    def __init__(self, channels: int, size: tuple[int, int], n_classes: int, width: int, latent_dim: int):
        super().__init__()
        self.sizes = halved_sizes((size[0], size[1]))[::-1]
        widths = stage_widths(width, len(self.sizes))[::-1]
        condition_dim = 2 * latent_dim
        self.label = nn.Embedding(n_classes, latent_dim)
        self.first = nn.Linear(condition_dim, widths[0] * math.prod(self.sizes[0]))
        self.ups = nn.ModuleList(UpBlock(wide, narrow, condition_dim) for wide, narrow in pairwise(widths))
        self.norm_out = ConditionalNorm(width, condition_dim)
        self.conv_out = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """latent (B, latent_dim), labels (B,) int64 -> images (B, C, H, W) in [-1, 1]."""
        condition = torch.cat([latent, self.label(labels)], dim=1)
        x = self.first(condition).unflatten(1, (-1, *self.sizes[0]))
        for up, size in zip(self.ups, self.sizes[1:], strict=True):
            x = up(x, condition, size)
        return torch.tanh(self.conv_out(F.silu(self.norm_out(x, condition))))


def decoded(decoder: LatentDecoder, labels: np.ndarray, spec: ImageSpec, batch_size: int, job: Job) -> Samples:
    """One image per label (N,) from a standard normal latent, that of image i from (job.seed, i) alone."""
    device, accelerator = job.runtime.torch_device, job.runtime.accelerator()
    decoder.to(device, memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def draw(rows: np.ndarray, wanted: np.ndarray) -> Drawn:
        latent, _ = noise(rows, (decoder.config.latent_dim,), job.seed)
        with accelerator.autocast():
            images = decoder(latent.to(device), torch.from_numpy(wanted).to(device))
        return Drawn(to_uint8(images.float()).cpu())

    return sample_in_batches(draw, labels, spec.tensor_shape, batch_size, job)
