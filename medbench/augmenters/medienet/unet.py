"""The noise-predicting U-Net of MedIENet, as we declare it."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from medbench.augmenters.medienet.attention import (
    ClassTokens,
    CrossAttention,
    MultiAttention,
    SelfAttention,
    group_norm,
    zeroed,
)
from medbench.augmenters.medienet.blocks import DecoderStage, Downsample, EncoderStage, Middle, ResidualBlock, Upsample
from medbench.augmenters.nonleaky_augmentation import TRANSFORMS


class MedIENetUNet(ModelMixin, ConfigMixin):
    """Predicts the noise (or v) in a latent at a time step, given its class.

    Known of Yuan et al. 2025 are a multi-attention module in the encoder, RoPE in the self-attention and class
    cross-attention; how they are built here is our declared choice.

    Args:
        in_channels: of the latents, which are also the output's.
        widths: channels per resolution; multiples of 8 and of 4 · heads. Each but the first halves the latent.
        layers_per_stage: residual blocks at each resolution, down and up.
        heads: of every self-attention and cross-attention.
        n_classes: without the null class, which is label n_classes.
        tokens_per_class: learned tokens that cross-attention reads.
        context_dim: channels of a class token.
        dropout: in the residual blocks, in [0, 1).
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
        _check_heads(widths, heads)
        self._build_condition()
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self._build_encoder()
        self._build_middle()
        self._build_decoder()
        self.norm_out = group_norm(widths[0])
        # Zero at first: the best guess of noise is its mean until something is learned (Ho et al. 2020's code).
        self.conv_out = zeroed(nn.Conv2d(widths[0], in_channels, 3, padding=1))

    @property
    def null_class(self) -> int:
        """The label that says nothing of the class, for classifier-free guidance."""
        return self.config.n_classes

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor, augment: Tensor | None = None) -> Tensor:
        """Predicted noise (or v).

        Args:
            x: noisy latents (B, C, H, W), H and W multiples of 2^(resolutions − 1).
            timestep: (B,).
            labels: (B,) int64 in 0..n_classes; n_classes is the null class.
            augment: (B, augment_dim), how the images were transformed; None: zeros, not at all.

        Returns:
            (B, C, H, W).

        Raises:
            ValueError: a side that the halvings do not divide.
        """
        self._check_sides(x)
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

    def _check_sides(self, x: Tensor) -> None:
        multiple = 2 ** (len(self.config.widths) - 1)
        if x.shape[2] % multiple or x.shape[3] % multiple:
            raise ValueError(f"latent of {x.shape[2]}×{x.shape[3]}: both sides must be multiples of {multiple}")

    # Building -----------------------------------------------------------------------------------------------------

    def _build_condition(self) -> None:
        config, width = self.config, self.config.widths[0]
        self.time = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))
        # Without bias, so that an image as it is adds nothing (Karras et al. 2022, appendix F.2).
        self.augment = nn.Linear(config.augment_dim, width, bias=False)
        self.class_tokens = self.label = None
        if config.cross_attention:
            self.class_tokens = ClassTokens(config.n_classes, config.tokens_per_class, config.context_dim)
        else:
            self.label = nn.Embedding(config.n_classes + 1, 4 * width)

    def _build_encoder(self) -> None:
        widths = self.config.widths
        self.downs = nn.ModuleList([nn.Identity(), *(Downsample(narrow, wide) for narrow, wide in pairwise(widths))])
        self.encoder = nn.ModuleList(
            EncoderStage(self._residuals(width, width), self._multi(width)) for width in widths
        )

    def _build_middle(self) -> None:
        width = self.config.widths[-1]
        self.middle = Middle(
            self._residual(width, width),
            SelfAttention(width, self.config.heads, self.config.rope),
            self._cross(width),
            self._residual(width, width),
        )

    def _build_decoder(self) -> None:
        widths = self.config.widths[::-1]
        self.decoder = nn.ModuleList(
            DecoderStage(self._residuals(2 * width, width), self._cross(width)) for width in widths
        )
        self.ups = nn.ModuleList([*(Upsample(wide, narrow) for wide, narrow in pairwise(widths)), nn.Identity()])

    def _residuals(self, in_channels: int, out_channels: int) -> list[ResidualBlock]:
        return [self._residual(in_channels, out_channels) for _ in range(self.config.layers_per_stage)]

    def _residual(self, in_channels: int, out_channels: int) -> ResidualBlock:
        return ResidualBlock(in_channels, out_channels, 4 * self.config.widths[0], self.config.dropout)

    def _cross(self, channels: int) -> CrossAttention | None:
        config = self.config
        return CrossAttention(channels, config.heads, config.context_dim) if config.cross_attention else None

    def _multi(self, channels: int) -> MultiAttention | None:
        config = self.config
        if not config.multi_attention:
            return None
        return MultiAttention(
            channels,
            config.heads,
            config.context_dim if config.cross_attention else None,
            channel=config.channel_attention,
            spatial=config.spatial_attention,
            self_attention=config.self_attention,
            rope=config.rope,
        )


def _check_heads(widths: Sequence[int], heads: int) -> None:
    if any(width % (4 * heads) for width in widths):
        raise ValueError(
            f"widths {list(widths)} with heads {heads}: every width must be a multiple of 4 · heads = {4 * heads}, as"
            " 2-D RoPE turns half of a head's channels by the row and half by the column, in pairs"
        )
