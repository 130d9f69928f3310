"""Convolution blocks of the annotated U-Net."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Standardization = Literal["divide_by_std", "walkthrough"]


class WeightStandardizedConv2d(nn.Conv2d):
    """A convolution whose filters have zero mean and unit variance (Qiao et al. 2019, eq. 2).

    The walk-through divides by rsqrt(var + eps), that is, multiplies by the standard deviation. GroupNorm behind it
    hides most of the difference; `walkthrough` keeps it for a faithful copy, `divide_by_std` is Qiao et al.'s.
    """

    def __init__(self, in_channels: int, out_channels: int, standardization: Standardization):
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)
        self.standardization = standardization

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, out_channels, H, W)."""
        return F.conv2d(x, self.standardized_weight(), self.bias, padding=1)

    def standardized_weight(self) -> Tensor:
        eps = 1e-5
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        inverse_std = (variance + eps).rsqrt()
        centred = self.weight - mean
        return centred * inverse_std if self.standardization == "divide_by_std" else centred / inverse_std


class ConvBlock(nn.Module):
    """Weight-standardized convolution, GroupNorm, scale and shift by time, SiLU."""

    def __init__(self, in_channels: int, out_channels: int, groups: int, standardization: Standardization):
        super().__init__()
        self.conv = WeightStandardizedConv2d(in_channels, out_channels, standardization)
        self.norm = nn.GroupNorm(groups, out_channels)

    def forward(self, x: Tensor, scale_shift: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """x (B, C, H, W), scale and shift (B, out_channels, 1, 1) -> (B, out_channels, H, W)."""
        x = self.norm(self.conv(x))
        if scale_shift is not None:
            scale, shift = scale_shift
            x = x * (scale + 1) + shift
        return F.silu(x)


class ResidualBlock(nn.Module):
    """Two convolution blocks, the first scaled and shifted by the time embedding, and a shortcut."""

    def __init__(
        self, in_channels: int, out_channels: int, time_dim: int, groups: int, standardization: Standardization
    ):
        super().__init__()
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, 2 * out_channels))
        self.block1 = ConvBlock(in_channels, out_channels, groups, standardization)
        self.block2 = ConvBlock(out_channels, out_channels, groups, standardization)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (B, C, H, W), time (B, time_dim) -> (B, out_channels, H, W)."""
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        return self.block2(self.block1(x, (scale, shift))) + self.shortcut(x)


class Downsample(nn.Module):
    """Space to depth, then a 1×1 convolution: no pixel is thrown away."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(4 * in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, out_channels, H/2, W/2)."""
        return self.conv(F.pixel_unshuffle(x, 2))


class Upsample(nn.Module):
    """Nearest neighbour ×2, then a 3×3 convolution."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, out_channels, 2H, 2W)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
