"""Images as tensors: the range that networks see, the layout of a file, and noise per image."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medbench.core.rng import seed_for


def to_model_range(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) in 0..255 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Floats in [-1, 1], cut off outside -> uint8 (B, C, H, W)."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def as_stored(images: Tensor) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W) or (N, H, W, 3)."""
    array = images.permute(0, 2, 3, 1).contiguous().numpy()
    return array[..., 0] if array.shape[-1] == 1 else array


def noise(rows: Sequence[int] | np.ndarray, shape: tuple[int, ...], seed: int) -> tuple[Tensor, list[torch.Generator]]:
    """Standard normal (B, *shape), and the generator of each row for what it draws next: row i from (seed, i) alone, on
    the CPU, so that the noise is the same for every batch size and device."""
    generators = [torch.Generator().manual_seed(seed_for(seed, "image", int(row))) for row in rows]
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators]), generators
