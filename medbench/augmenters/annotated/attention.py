"""Full and linear self-attention over the positions of a feature map, pre-normed and residual."""

import torch.nn.functional as F
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
