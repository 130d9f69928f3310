"""Convolution blocks of the denoiser, and what it does at one resolution: down, at the bottom, up."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medbench.augmenters.medienet.attention import CrossAttention, MultiAttention, SelfAttention, group_norm, zeroed


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


class EncoderStage(nn.Module):
    """Residual blocks, then the multi-attention module unless it is left out."""

    def __init__(self, residuals: Iterable[ResidualBlock], attention: MultiAttention | None):
        super().__init__()
        self.residuals = nn.ModuleList(residuals)
        self.attention = attention

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> list[Tensor]:
        """x (B, C, H, W), time (B, time_dim) -> a skip of the shape of x after each block, the last after attention."""
        skips = []
        for residual in self.residuals:
            x = residual(x, time)
            skips.append(x)
        if self.attention is not None:
            skips[-1] = self.attention(x, context)
        return skips


class Middle(nn.Module):
    """Residual block, self-attention, class cross-attention unless it is left out, residual block."""

    def __init__(
        self,
        residual1: ResidualBlock,
        self_attention: SelfAttention,
        cross_attention: CrossAttention | None,
        residual2: ResidualBlock,
    ):
        super().__init__()
        self.residual1, self.residual2 = residual1, residual2
        self.self_attention, self.cross_attention = self_attention, cross_attention

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        """x (B, C, H, W), time (B, time_dim), context (B, T, context_dim) -> (B, C, H, W)."""
        x = self.self_attention(self.residual1(x, time))
        if self.cross_attention is not None:
            x = self.cross_attention(x, context)
        return self.residual2(x, time)


class DecoderStage(nn.Module):
    """Residual blocks, each after a skip is concatenated, then class cross-attention unless it is left out."""

    def __init__(self, residuals: Iterable[ResidualBlock], cross_attention: CrossAttention | None):
        super().__init__()
        self.residuals = nn.ModuleList(residuals)
        self.cross_attention = cross_attention

    def forward(self, x: Tensor, skips: list[Tensor], time: Tensor, context: Tensor | None) -> Tensor:
        """x (B, C, H, W), as many skips of that shape as there are blocks, the last used first -> (B, C, H, W)."""
        for residual, skip in zip(self.residuals, reversed(skips), strict=True):
            x = residual(torch.cat([x, skip], dim=1), time)
        return x if self.cross_attention is None else self.cross_attention(x, context)
