"""The noise-predicting U-Net of "The Annotated Diffusion Model" (Rogge and Rasul, Hugging Face blog, 2022)."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from medbench.augmenters.annotated.attention import Attention, LinearAttention
from medbench.augmenters.annotated.blocks import Downsample, ResidualBlock, Standardization, Upsample


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
        channels: of the images, 1 or 3.
        width: channels at full resolution; the walk-through uses 28 for 28×28 images.
        multipliers: of the width, one a resolution; every resolution but the last halves the image.
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
