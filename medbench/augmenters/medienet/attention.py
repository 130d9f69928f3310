"""Channel, spatial, self- and cross-attention, the encoder's module of all four, rotary positions (Su et al. 2021)."""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

ROPE_BASE = 10_000  # Su et al. 2021, eq. 15


def axial_angles(rows: Tensor, columns: Tensor, head_dim: int) -> Tensor:
    """Angles by which the pairs of channels of one head are turned at every position of a grid.

    Args:
        rows, columns: coordinates (H,) and (W,), in positions.
        head_dim: channels per head, a multiple of 4.

    Returns:
        (H·W, head_dim / 2) float32, radians: the first half of the pairs turns with the row, the other with the column.

    Source: Su et al. 2021, eq. 15, with the d = head_dim / 2 channels of one axis.
    """
    exponents = torch.arange(0, head_dim // 2, 2, dtype=torch.float32, device=rows.device) / (head_dim // 2)
    frequencies = ROPE_BASE**-exponents
    by_row = (rows[:, None] * frequencies)[:, None].expand(-1, len(columns), -1)
    by_column = (columns[:, None] * frequencies)[None].expand(len(rows), -1, -1)
    return torch.cat([by_row, by_column], dim=-1).flatten(0, 1)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turns channels i and i + head_dim / 2 together by angle i: x (B, heads, N, head_dim), angles (N, head_dim / 2).

    The product of a turned query with a turned key knows only how far apart they are.

    Source: Su et al. 2021, eq. 34; which channels make a pair is free, as the layers before learn it.
    """
    cos, sin = angles.cos(), angles.sin()
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


GROUPS = 8  # every width is a multiple of it
Layer = TypeVar("Layer", bound=nn.Module)


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels)


def zeroed(layer: Layer) -> Layer:
    """The layer with all its weights at zero, so that a residual branch that ends in it starts as the identity.

    Depth then does not hurt the first steps (Goyal et al. 2017, sec. 5.1); Ho et al. 2020 start their U-Net so.
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def tokens_of(x: Tensor) -> Tensor:
    """x (B, C, H, W) -> (B, H·W, C), row by row; a view."""
    return x.flatten(2).transpose(1, 2)


def map_of(tokens: Tensor, like: Tensor) -> Tensor:
    """tokens (B, H·W, C) -> a map of the shape of `like` (B, C, H, W)."""
    return tokens.transpose(1, 2).reshape(like.shape)


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """tokens (B, N, C) -> (B, heads, N, C / heads); a view whose last axis stays contiguous, as fast kernels want."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1): q (B, heads, N, d), k and v (B, heads, M, d) -> tokens
    (B, N, heads · d)."""
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


REDUCTION, NARROWEST = 16, 8  # Hu et al. 2018, sec. 6.1, and a floor for narrow networks


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al. 2018, eq. 2 to 4), pre-normed and residual."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = group_norm(channels)
        self.excite = SqueezeExcitation(channels, max(channels // REDUCTION, NARROWEST))
        # No weights make a sigmoid zero: a zero gain per channel lets the branch start as the identity.
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W), residual included: the normed map, rescaled channel by channel, is added."""
        return x + self.gain * self.excite(self.norm(x))


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


class SelfAttention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017), 2-D axial RoPE on queries and keys; pre-normed and residual.

    Channels are a multiple of 4 · heads. RoPE has no weights: without it nothing else changes.
    """

    def __init__(self, channels: int, heads: int, rope: bool = True):
        super().__init__()
        self.heads, self.head_dim, self.rope = heads, channels // heads, rope
        self.norm = group_norm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W), residual included."""
        qkv = self.qkv(tokens_of(self.norm(x)))
        q, k, v = (split_heads(part, self.heads) for part in qkv.chunk(3, dim=-1))
        if self.rope:
            rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
            angles = axial_angles(rows, columns, self.head_dim)
            q, k = rotate(q, angles), rotate(k, angles)
        return x + map_of(self.out(attended(q, k, v)), x)


class CrossAttention(nn.Module):
    """Positions attend to the few tokens of their class (Rombach et al. 2022, sec. 3.3); pre-normed and residual."""

    def __init__(self, channels: int, heads: int, context_dim: int):
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels)
        self.q = nn.Linear(channels, channels)
        # Without bias: softmax does not see what all keys share, and `out` has a bias for what all values share.
        self.kv = nn.Linear(context_dim, 2 * channels, bias=False)
        self.out = zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x (B, C, H, W), context (B, T, context_dim) -> (B, C, H, W), residual included."""
        q = split_heads(self.q(tokens_of(self.norm(x))), self.heads)
        k, v = (split_heads(part, self.heads) for part in self.kv(context).chunk(2, dim=-1))
        return x + map_of(self.out(attended(q, k, v)), x)


class MultiAttention(nn.Module):
    """Channel, spatial and self-attention, then cross-attention to class tokens; each can be left out.

    Channels are a multiple of 8 and of 4 · heads; without a context_dim cross-attention is left out.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        context_dim: int | None,
        channel: bool = True,
        spatial: bool = True,
        self_attention: bool = True,
        rope: bool = True,
    ):
        super().__init__()
        self.channel = ChannelAttention(channels) if channel else None
        self.spatial = SpatialAttention(channels) if spatial else None
        self.self_attention = SelfAttention(channels, heads, rope) if self_attention else None
        self.cross_attention = CrossAttention(channels, heads, context_dim) if context_dim else None

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """x (B, C, H, W), context (B, T, context_dim), unused without cross-attention -> (B, C, H, W)."""
        for part in (self.channel, self.spatial, self.self_attention):
            if part is not None:
                x = part(x)
        return x if self.cross_attention is None else self.cross_attention(x, context)


class ClassTokens(nn.Module):
    """Tokens of every class and, in the last row, of the null class (Ho and Salimans 2022)."""

    def __init__(self, n_classes: int, tokens_per_class: int, context_dim: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_classes + 1, tokens_per_class, context_dim))

    def forward(self, labels: Tensor) -> Tensor:
        """labels (B,) int64 in 0..n_classes -> (B, tokens_per_class, context_dim)."""
        # Not self.table[labels]: its gradient is summed in an order that varies when CPU threads share the work.
        return F.embedding(labels, self.table.flatten(1)).unflatten(1, self.table.shape[1:])
