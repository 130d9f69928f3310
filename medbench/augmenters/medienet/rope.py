"""Rotary position embedding (Su et al. 2021) along both axes of a feature map."""

import torch
from torch import Tensor

BASE = 10_000  # Su et al. 2021, eq. 15


def grid_angles(height: int, width: int, head_dim: int, device: torch.device) -> Tensor:
    """Angles (height · width, head_dim / 2) of the positions of a map, row by row, in radians."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return axial_angles(rows, columns, head_dim)


def axial_angles(rows: Tensor, columns: Tensor, head_dim: int) -> Tensor:
    """Angles by which the pairs of channels of one head are turned at every position of a grid.

    Args:
        rows: coordinates (H,), in positions.
        columns: coordinates (W,), in positions.
        head_dim: channels per head, a multiple of 4.

    Returns:
        (H·W, head_dim / 2) float32, radians: the first half of the pairs turns with the row, the other with the column.

    Source: Su et al. 2021, eq. 15, with the d = head_dim / 2 channels of one axis. Nothing is stored, so a map of any
    size has its angles.
    """
    exponents = torch.arange(0, head_dim // 2, 2, dtype=torch.float32, device=rows.device) / (head_dim // 2)
    frequencies = BASE**-exponents
    by_row = (rows[:, None] * frequencies)[:, None].expand(-1, len(columns), -1)
    by_column = (columns[:, None] * frequencies)[None].expand(len(rows), -1, -1)
    return torch.cat([by_row, by_column], dim=-1).flatten(0, 1)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turns channels i and i + head_dim / 2 together by angle i.

    Args:
        x: queries or keys (B, heads, N, head_dim).
        angles: (N, head_dim / 2), radians.

    Returns:
        The shape and dtype of x. The product of a turned query with a turned key knows only how far apart they are.

    Source: Su et al. 2021, eq. 34; which channels make a pair is free, as the layers before learn it.
    """
    cos, sin = angles.cos(), angles.sin()
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)
