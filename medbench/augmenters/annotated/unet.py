"""The noise-predicting U-Net of "The Annotated Diffusion Model" (Rogge and Rasul, Hugging Face blog, 2022)."""

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

HEADS, HEAD_DIM = 4, 32


class _QKV(nn.Module):
    """Bias-free 1×1 convolution to queries, keys and values, after GroupNorm(1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.conv = nn.Conv2d(channels, 3 * HEADS * HEAD_DIM, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, C, H, W) -> three of (B, heads, head_dim, H·W)."""
        batch, _, height, width = x.shape
        qkv = self.conv(self.norm(x)).reshape(batch, 3, HEADS, HEAD_DIM, height * width)
        q, k, v = qkv.unbind(1)
        return q, k, v


class Attention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.qkv = _QKV(channels)
        self.out = nn.Conv2d(HEADS * HEAD_DIM, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W), residual included."""
        q, k, v = (part.transpose(-1, -2) for part in self.qkv(x))
        attended = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2)
        return x + self.out(attended.reshape(len(x), HEADS * HEAD_DIM, *x.shape[2:]))


class LinearAttention(nn.Module):
    """Attention in time linear in the positions (Shen et al. 2021): softmax of q over channels, of k over positions."""

    def __init__(self, channels: int):
        super().__init__()
        self.qkv = _QKV(channels)
        self.out = nn.Sequential(nn.Conv2d(HEADS * HEAD_DIM, channels, 1), nn.GroupNorm(1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W), residual included."""
        q, k, v = self.qkv(x)
        q = q.softmax(dim=-2) * HEAD_DIM**-0.5
        context = k.softmax(dim=-1) @ v.transpose(-1, -2)  # (B, heads, head_dim, head_dim)
        attended = context.transpose(-1, -2) @ q
        return x + self.out(attended.reshape(len(x), HEADS * HEAD_DIM, *x.shape[2:]))


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


class DownStage(nn.Module):
    """One resolution on the way down; both blocks' outputs, the second after attention, are kept as skips."""

    def __init__(self, blocks: tuple[ResidualBlock, ResidualBlock], attention: LinearAttention, resize: nn.Module):
        super().__init__()
        self.block1, self.block2 = blocks
        self.attention, self.resize = attention, resize

    def forward(self, x: Tensor, time: Tensor, skips: list[Tensor]) -> Tensor:
        """x (B, C, H, W) -> (B, C', H/2, W/2), or (B, C', H, W) at the last resolution; appends two skips."""
        skips.append(self.block1(x, time))
        skips.append(self.attention(self.block2(skips[-1], time)))
        return self.resize(skips[-1])


class UpStage(DownStage):
    """One resolution on the way up; a skip is concatenated before each block."""

    def forward(self, x: Tensor, time: Tensor, skips: list[Tensor]) -> Tensor:
        """x (B, C, H, W) -> (B, C', 2H, 2W), or (B, C', H, W) at the last resolution; takes two skips."""
        x = self.block1(torch.cat([x, skips.pop()], dim=1), time)
        x = self.block2(torch.cat([x, skips.pop()], dim=1), time)
        return self.resize(self.attention(x))


class AnnotatedUNet(ModelMixin, ConfigMixin):
    """Predicts the noise in an image at a time step, unconditionally or given a label.

    Args:
        width: channels at full resolution; the walk-through uses 28 for 28×28 images.
        multipliers: of the width, one per resolution; every resolution but the last halves the image.
        groups: of GroupNorm in the convolution blocks.
        n_classes: None for the unconditional model; else a label embedding is added to the time embedding.
        standardization: of the 3×3 filters, see WeightStandardizedConv2d.
    """

    @register_to_config
    def __init__(
        self,
        channels: int = 1,
        width: int = 28,
        multipliers: tuple[int, ...] = (1, 2, 4),
        groups: int = 4,
        n_classes: int | None = None,
        standardization: Standardization = "divide_by_std",
    ):
        super().__init__()
        widths = [width, *(width * multiplier for multiplier in multipliers)]
        time_dim = 4 * width

        def residual(in_channels: int, out_channels: int) -> ResidualBlock:
            return ResidualBlock(in_channels, out_channels, time_dim, groups, standardization)

        self.conv_in = nn.Conv2d(channels, width, 1)
        self.time = nn.Sequential(nn.Linear(width, time_dim), nn.GELU(), nn.Linear(time_dim, time_dim))
        self.label = nn.Embedding(n_classes, time_dim) if n_classes else None

        stages = list(pairwise(widths))
        self.downs = nn.ModuleList()
        for i, (narrow, wide) in enumerate(stages):
            last = i == len(stages) - 1
            resize: nn.Module = nn.Conv2d(narrow, wide, 3, padding=1) if last else Downsample(narrow, wide)
            blocks = residual(narrow, narrow), residual(narrow, narrow)
            self.downs.append(DownStage(blocks, LinearAttention(narrow), resize))

        deepest = widths[-1]
        self.middle1 = residual(deepest, deepest)
        self.middle_attention = Attention(deepest)
        self.middle2 = residual(deepest, deepest)

        self.ups = nn.ModuleList()
        for i, (narrow, wide) in enumerate(reversed(stages)):
            last = i == len(stages) - 1
            resize = nn.Conv2d(wide, narrow, 3, padding=1) if last else Upsample(wide, narrow)
            blocks = residual(wide + narrow, wide), residual(wide + narrow, wide)
            self.ups.append(UpStage(blocks, LinearAttention(wide), resize))

        self.last = residual(2 * width, width)
        self.conv_out = nn.Conv2d(width, channels, 1)

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """sample (B, C, H, W), timestep (B,), class_labels (B,) if the model has classes -> noise (B, C, H, W)."""
        height, width = sample.shape[2:]
        x = self._padded(sample)
        time = self.time(sinusoidal_embedding(timestep, self.config.width).to(x.dtype))
        if self.label is not None:
            time = time + self.label(class_labels)
        return self._denoise(x, time)[:, :, :height, :width]

    def _denoise(self, x: Tensor, time: Tensor) -> Tensor:
        first = x = self.conv_in(x)
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x, time, skips)
        x = self.middle2(self.middle_attention(self.middle1(x, time)), time)
        for up in self.ups:
            x = up(x, time, skips)
        return self.conv_out(self.last(torch.cat([x, first], dim=1), time))

    def _padded(self, x: Tensor) -> Tensor:
        """Reflect-pads right and bottom to sizes that every halving divides; forward crops it back."""
        multiple = 2 ** (len(self.config.multipliers) - 1)
        right, bottom = -x.shape[3] % multiple, -x.shape[2] % multiple
        return F.pad(x, (0, right, 0, bottom), mode="reflect") if right or bottom else x


def sinusoidal_embedding(timestep: Tensor, dim: int) -> Tensor:
    """timestep (B,) -> (B, dim): sines, then cosines, of frequencies from 1 down to 1/10000 (Vaswani et al. 2017)."""
    half = dim // 2
    frequencies = torch.exp(torch.arange(half, device=timestep.device) * (-math.log(10000) / (half - 1)))
    angles = timestep[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
