"""The discriminator of the conditional GAN; its generator is the network of latent_decoder."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from medbench.augmenters.latent_decoder import halved_sizes, stage_widths


class DiscriminatorBlock(nn.Module):
    """A residual block that halves the image, its side rounded up; no normalisation but that of the weights."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(in_channels, in_channels, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.shortcut = spectral_norm(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, out_channels, ⌈H/2⌉, ⌈W/2⌉)."""
        residual = self.conv2(_halved(F.leaky_relu(self.conv1(F.leaky_relu(x, 0.2)), 0.2)))
        return residual + self.shortcut(_halved(x))


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)


class ProjectionDiscriminator(nn.Module):
    """How real an image of a class looks: ψ(φ(x)) + ⟨embedding(class), φ(x)⟩ (Miyato and Koyama 2018, eq. 4).

    Every weight is spectrally normalised (Miyato et al. 2018). Arguments as of LatentDecoder.
    """

    def __init__(self, channels: int, size: tuple[int, int], n_classes: int, width: int):
        super().__init__()
        widths = stage_widths(width, len(halved_sizes(size)))
        self.conv_in = spectral_norm(nn.Conv2d(channels, width, 3, padding=1))
        self.blocks = nn.Sequential(*(DiscriminatorBlock(narrow, wide) for narrow, wide in pairwise(widths)))
        self.linear = spectral_norm(nn.Linear(widths[-1], 1))
        self.label = spectral_norm(nn.Embedding(n_classes, widths[-1]))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """images (B, C, H, W) in [-1, 1], labels (B,) int64 -> scores (B,)."""
        features = F.leaky_relu(self.blocks(self.conv_in(images)), 0.2).sum((2, 3))
        return self.linear(features)[:, 0] + (self.label(labels) * features).sum(1)
