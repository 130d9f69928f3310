"""Cross-attention of a feature map to class tokens."""

import torch.nn.functional as F
from torch import Tensor, nn

from medbench.augmenters.medienet.layers import group_norm, zeroed
from medbench.augmenters.medienet.tokens import map_of, merge_heads, split_heads, tokens_of


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
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + map_of(self.out(merge_heads(attended)), x)
