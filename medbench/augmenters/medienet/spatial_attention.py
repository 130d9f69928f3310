"""Spatial attention: which positions matter in this image."""

import torch
from torch import Tensor, nn

from medbench.augmenters.medienet.layers import group_norm


class SpatialAttention(nn.Module):
    """Channel mean and max, a 7×7 convolution, a sigmoid (Woo et al. 2018, eq. 3); pre-normed and residual."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = group_norm(channels)
        self.conv = nn.Conv2d(2, 1, kernel_size=7, padding=3)
        # As in channel attention: no weights make the sigmoid zero, a zero gain lets the part start as the identity.
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W), residual included: the normed map, rescaled by position, is added."""
        normed = self.norm(x)
        maps = torch.cat([normed.mean(dim=1, keepdim=True), normed.amax(dim=1, keepdim=True)], dim=1)
        return x + normed * (self.gain * self.conv(maps).sigmoid())
