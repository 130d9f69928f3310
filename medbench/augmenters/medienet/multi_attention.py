"""The multi-attention module of the encoder."""

from torch import Tensor, nn

from medbench.augmenters.medienet.channel_attention import ChannelAttention
from medbench.augmenters.medienet.cross_attention import CrossAttention
from medbench.augmenters.medienet.self_attention import SelfAttention
from medbench.augmenters.medienet.spatial_attention import SpatialAttention


class MultiAttention(nn.Module):
    """Channel, spatial and self-attention, then cross-attention to class tokens; each can be left out.

    Args:
        channels: a multiple of 8 and of 4 · heads.
        heads: of self-attention and cross-attention.
        context_dim: of the class tokens; None leaves cross-attention out.
        channel, spatial, self_attention: False leaves the part out.
        rope: of self-attention.
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
