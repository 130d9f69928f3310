"""Networks that tell real images from generated ones, and the hinge losses of both sides."""

from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from medbench.augmenters.latent_vectors import halved_sizes, stage_widths


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """mean max(0, 1 − real) + mean max(0, 1 + fake), scores (B,) (Lim and Ye 2017)."""
    return torch.relu(1 - real.float()).mean() + torch.relu(1 + fake.float()).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """−mean of the scores (B,) of generated images."""
    return -fake.float().mean()


# Stride-2 layers, and the side in pixels of the patch that one output sees (Isola et al. 2017, appendix 6.1.2).
RECEPTIVE_FIELDS = {3: 70, 2: 34, 1: 16}


class PatchDiscriminator(nn.Sequential):
    """Isola et al. 2017, as in Esser et al. 2021; group norm for batch norm, so that no image changes another's score.

    Maps images (B, channels, H, W) to one score per patch (B, 1, h, w), high for real. Of the published receptive
    fields, the largest below the image's shorter side is taken: a discriminator of whole images would learn the few
    training images by heart. Each layer doubles the width, a multiple of 8 after the first.
    """

    def __init__(self, channels: int, width: int, size: tuple[int, int]):
        halvings = next((n for n, field in RECEPTIVE_FIELDS.items() if field < min(size)), 1)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer in range(1, halvings + 1):
            stride = 2 if layer < halvings else 1
            layers += [nn.Conv2d(width, 2 * width, 4, stride, padding=1, bias=False)]
            layers += [nn.GroupNorm(2 * width // 8, 2 * width), nn.LeakyReLU(0.2)]
            width *= 2
        super().__init__(*layers, nn.Conv2d(width, 1, 4, padding=1))


NetworkT = TypeVar("NetworkT", bound=nn.Module)


def orthogonal(network: NetworkT) -> NetworkT:
    """The network with orthogonal weights and no biases in its convolutions and linear layers (Brock et al. 2019), so
    that no direction of an image is lost before anything has been learned."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


class DiscriminatorBlock(nn.Module):
    """A residual block that halves the image, its side rounded up; no normalisation but that of the weights."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = _normalised(nn.Conv2d(in_channels, in_channels, 3, padding=1))
        self.conv2 = _normalised(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.shortcut = _normalised(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, out_channels, ⌈H/2⌉, ⌈W/2⌉)."""
        residual = self.conv2(_halved(F.leaky_relu(self.conv1(F.leaky_relu(x, 0.2)), 0.2)))
        return residual + self.shortcut(_halved(x))


def _normalised(layer: nn.Module) -> nn.Module:
    return spectral_norm(orthogonal(layer))


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)


class ProjectionDiscriminator(nn.Module):
    """How real an image of a class looks: ψ(φ(x)) + ⟨embedding(class), φ(x)⟩ (Miyato and Koyama 2018, eq. 4).

    Every weight is spectrally normalised (Miyato et al. 2018).
    """

    def __init__(self, channels: int, size: tuple[int, int], n_classes: int, width: int):
        super().__init__()
        widths = stage_widths(width, len(halved_sizes(size)))
        self.conv_in = _normalised(nn.Conv2d(channels, width, 3, padding=1))
        self.blocks = nn.Sequential(*(DiscriminatorBlock(narrow, wide) for narrow, wide in pairwise(widths)))
        self.linear = _normalised(nn.Linear(widths[-1], 1))
        self.label = _normalised(nn.Embedding(n_classes, widths[-1]))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """images (B, C, H, W) in [-1, 1], labels (B,) int64 -> scores (B,)."""
        features = F.leaky_relu(self.blocks(self.conv_in(images)), 0.2).sum((2, 3))
        return self.linear(features)[:, 0] + (self.label(labels) * features).sum(1)
