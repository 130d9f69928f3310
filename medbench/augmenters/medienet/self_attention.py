"""Multi-head self-attention over the positions of a feature map."""

import torch.nn.functional as F
from torch import Tensor, nn

from medbench.augmenters.medienet.layers import group_norm, zeroed
from medbench.augmenters.medienet.rope import grid_angles, rotate
from medbench.augmenters.medienet.tokens import map_of, merge_heads, split_heads, tokens_of


class SelfAttention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017), 2-D axial RoPE on queries and keys; pre-normed and residual.

    Args:
        channels: a multiple of 4 · heads.
        heads: of the attention.
        rope: False leaves out the rotation and nothing else; it has no weights.
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
            angles = grid_angles(x.shape[2], x.shape[3], self.head_dim, x.device)
            q, k = rotate(q, angles), rotate(k, angles)
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + map_of(self.out(merge_heads(attended)), x)
