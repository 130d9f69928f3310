"""Convolution blocks of the denoiser."""

import torch.nn.functional as F
from torch import Tensor, nn

from medbench.augmenters.medienet.layers import group_norm, zeroed


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, convolution, twice; time scales and shifts the second norm (Dhariwal and Nichol 2021, 3.1)."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int, dropout: float):
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_dim, 2 * out_channels)
        self.norm2 = group_norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (B, C, H, W), time (B, time_dim), already through SiLU -> (B, out_channels, H, W)."""
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(self.conv1(F.silu(self.norm1(x)))) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))


class Downsample(nn.Conv2d):
    """A 3×3 convolution of stride 2: (B, in_channels, H, W) -> (B, out_channels, H/2, W/2)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, 3, stride=2, padding=1)


class Upsample(nn.Conv2d):
    """Nearest neighbour ×2, then a 3×3 convolution: no checkerboard (Odena et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) -> (B, out_channels, 2H, 2W)."""
        return super().forward(F.interpolate(x, scale_factor=2, mode="nearest"))
