"""The light augmentation that every arm gets: small shifts, and mirror images where they keep their meaning."""

import torch
import torch.nn.functional as F
from torch import Tensor

from medbench.training.task import Draws


def shifted(images: Tensor, most: int, draws: Draws) -> Tensor:
    """Images (B, C, H, W), each moved by a random whole number of pixels, at most `most` each way, as by `moved`."""
    if most == 0:
        return images
    corner = draws.randint(0, 2 * most + 1, (2, len(images)), dim=1)
    return moved(images, most - corner.T, most)


def moved(images: Tensor, offsets: Tensor, most: int) -> Tensor:
    """Each image moved by its own whole number of pixels; the border is a reflection.

    Args:
        images: (B, C, H, W), any type.
        offsets: (B, 2) down and right, each within -most..most.
        most: pixels, below H and W.
    """
    if most == 0:
        return images
    batch, _, height, width = images.shape
    device = images.device
    padded = F.pad(images.float(), (most,) * 4, mode="reflect").to(images.dtype)
    corner = most - offsets
    rows = corner[:, :1] + torch.arange(height, device=device)
    columns = corner[:, 1:] + torch.arange(width, device=device)
    which = torch.arange(batch, device=device)
    # Indices around a slice: the slice, the channels, comes last.
    return padded[which[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def mirrored(images: Tensor, draws: Draws) -> Tensor:
    """The images (B, C, H, W), each with left and right exchanged at a probability of one half."""
    flip = draws.rand((len(images), 1, 1, 1)) < 0.5
    return torch.where(flip, images.flip(-1), images)
