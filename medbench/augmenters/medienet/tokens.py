"""Between feature maps, tokens and the heads of an attention."""

from torch import Tensor


def tokens_of(x: Tensor) -> Tensor:
    """x (B, C, H, W) -> (B, H·W, C), row by row; a view."""
    return x.flatten(2).transpose(1, 2)


def map_of(tokens: Tensor, like: Tensor) -> Tensor:
    """tokens (B, H·W, C) -> a map of the shape of `like` (B, C, H, W)."""
    return tokens.transpose(1, 2).reshape(like.shape)


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """tokens (B, N, C) -> (B, heads, N, C / heads); a view whose last axis stays contiguous, as fast kernels want."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """x (B, heads, N, head_dim) -> (B, N, heads · head_dim)."""
    return x.transpose(1, 2).flatten(2)
