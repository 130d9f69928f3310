"""The noise-predicting U-Net of MedIENet, as we declare it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from medbench.augmenters.diffusion_sections import require_heads
from medbench.augmenters.medienet.attention import (
    ClassTokens,
    CrossAttention,
    MultiAttention,
    SelfAttention,
    group_norm,
    zeroed,
)
from medbench.augmenters.nonleaky_augmentation import TRANSFORMS


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


class MedIENetUNet(ModelMixin, ConfigMixin):
    """Predicts the noise (or v) in a latent at a time step, given its class.

    Known of Yuan et al. 2025 are a multi-attention module in the encoder, RoPE in the self-attention and class
    cross-attention; how they are built here is our declared choice.

    Args:
        in_channels: of the latents, which are also the output's.
        widths: channels per resolution; multiples of 8 and of 4 · heads. Each but the first halves the latent.
        layers_per_stage: residual blocks at each resolution, down and up.
        n_classes: without the null class, which is label n_classes.
        tokens_per_class: learned tokens of width context_dim that cross-attention reads.
        augment_dim: length of the vector that tells how a training image was transformed.
        multi_attention: False leaves out the encoder's whole module, its cross-attention included.
        channel_attention, spatial_attention, self_attention: False leaves out this part of the encoder's module.
        rope: False makes every self-attention plain; the weights keep their names and shapes.
        cross_attention: False leaves out cross-attention and tokens; the time embedding carries the label instead.

    Raises:
        ValueError: a width is no multiple of 4 · heads.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        layers_per_stage: int,
        heads: int,
        n_classes: int,
        tokens_per_class: int,
        context_dim: int,
        dropout: float,
        augment_dim: int = TRANSFORMS,
        multi_attention: bool = True,
        channel_attention: bool = True,
        spatial_attention: bool = True,
        self_attention: bool = True,
        rope: bool = True,
        cross_attention: bool = True,
    ):
        super().__init__()
        require_heads(widths, heads)
        width, time_dim, context = widths[0], 4 * widths[0], context_dim if cross_attention else None
        parts = {"channel": channel_attention, "spatial": spatial_attention, "self_attention": self_attention}

        def residual(in_channels: int, out_channels: int) -> ResidualBlock:
            return ResidualBlock(in_channels, out_channels, time_dim, dropout)

        def residuals(in_channels: int, out_channels: int) -> list[ResidualBlock]:
            return [residual(in_channels, out_channels) for _ in range(layers_per_stage)]

        def cross(channels: int) -> CrossAttention | None:
            return CrossAttention(channels, heads, context_dim) if cross_attention else None

        def multi(channels: int) -> MultiAttention | None:
            return MultiAttention(channels, heads, context, rope=rope, **parts) if multi_attention else None

        self.time = nn.Sequential(nn.Linear(width, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim))
        # Without bias, so that an image as it is adds nothing (Karras et al. 2022, appendix F.2).
        self.augment = nn.Linear(augment_dim, width, bias=False)
        self.class_tokens = ClassTokens(n_classes, tokens_per_class, context_dim) if cross_attention else None
        self.label = None if cross_attention else nn.Embedding(n_classes + 1, time_dim)
        self.conv_in = nn.Conv2d(in_channels, width, 3, padding=1)

        self.downs = nn.ModuleList([nn.Identity(), *(Downsample(narrow, wide) for narrow, wide in pairwise(widths))])
        self.encoder = nn.ModuleList(EncoderStage(residuals(width, width), multi(width)) for width in widths)

        deepest = widths[-1]
        self.middle = Middle(
            residual(deepest, deepest),
            SelfAttention(deepest, heads, rope),
            cross(deepest),
            residual(deepest, deepest),
        )

        upwards = widths[::-1]
        self.decoder = nn.ModuleList(DecoderStage(residuals(2 * width, width), cross(width)) for width in upwards)
        self.ups = nn.ModuleList([*(Upsample(wide, narrow) for wide, narrow in pairwise(upwards)), nn.Identity()])

        self.norm_out = group_norm(width)
        # Zero at first: the best guess of noise is its mean until something is learned (Ho et al. 2020's code).
        self.conv_out = zeroed(nn.Conv2d(width, in_channels, 3, padding=1))

    @property
    def null_class(self) -> int:
        """The label that says nothing of the class, for classifier-free guidance."""
        return self.config.n_classes

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor, augment: Tensor | None = None) -> Tensor:
        """x (B, C, H, W), timestep and labels (B,), augment (B, augment_dim), zeros by default -> noise or v like x.

        Raises:
            ValueError: a side that the halvings do not divide.
        """
        multiple = 2 ** (len(self.config.widths) - 1)
        if x.shape[2] % multiple or x.shape[3] % multiple:
            raise ValueError(f"latent of {x.shape[2]}×{x.shape[3]}: both sides must be multiples of {multiple}")
        context = None if self.class_tokens is None else self.class_tokens(labels)
        return self._denoise(x, self._condition(timestep, labels, augment, x), context)

    def _denoise(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        x = self.conv_in(x)
        skips: list[list[Tensor]] = []
        for resize, stage in zip(self.downs, self.encoder, strict=True):
            skips.append(stage(resize(x), time, context))
            x = skips[-1][-1]
        x = self.middle(x, time, context)
        for stage, resize in zip(self.decoder, self.ups, strict=True):
            x = resize(stage(x, skips.pop(), time, context))
        return self.conv_out(F.silu(self.norm_out(x)))

    def _condition(self, timestep: Tensor, labels: Tensor, augment: Tensor | None, x: Tensor) -> Tensor:
        """(B, time_dim): time, the image's transform and, without cross-attention, its label; after SiLU."""
        sines = get_timestep_embedding(timestep, self.config.widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        sines = sines.to(x.dtype)
        if augment is not None:
            sines = sines + self.augment(augment.to(x.dtype))
        time = self.time(sines)
        return F.silu(time if self.label is None else time + self.label(labels))
