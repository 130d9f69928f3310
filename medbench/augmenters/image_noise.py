"""Noise of which image i depends on (seed, i) alone, and images as they are stored."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medbench.core.rng import seed_for


def noise(rows: Sequence[int] | np.ndarray, shape: tuple[int, ...], seed: int) -> tuple[Tensor, list[torch.Generator]]:
    """Standard normal (B, *shape), and the generator of each row for what it draws next.

    On the CPU, a generator an image: the same noise for every batch size and device.
    """
    generators = [torch.Generator().manual_seed(seed_for(seed, "image", int(row))) for row in rows]
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators]), generators


def as_stored(images: Tensor) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W) or (N, H, W, 3)."""
    array = images.permute(0, 2, 3, 1).contiguous().numpy()
    return array[..., 0] if array.shape[-1] == 1 else array
