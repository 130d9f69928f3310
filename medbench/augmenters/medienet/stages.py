"""What the denoiser does at one resolution: on the way down, at the bottom, on the way up."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from medbench.augmenters.medienet.blocks import ResidualBlock
from medbench.augmenters.medienet.cross_attention import CrossAttention
from medbench.augmenters.medienet.multi_attention import MultiAttention
from medbench.augmenters.medienet.self_attention import SelfAttention


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
