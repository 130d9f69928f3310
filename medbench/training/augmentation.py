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
    """Images (B, C, H, W), each moved by its own whole number of pixels; the border is a reflection.

    Offsets (B, 2) are down and right, each within -most..most, and `most` is below H and W.
    """
    if most == 0:
        return images
    padded = F.pad(images.float(), (most,) * 4, mode="reflect").to(images.dtype)
    which, _, down, right = (torch.arange(n, device=images.device) for n in images.shape)
    corner = most - offsets
    rows, columns = corner[:, :1] + down, corner[:, 1:] + right
    # Indices around a slice: the slice, the channels, comes last.
    return padded[which[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def mirrored(images: Tensor, draws: Draws) -> Tensor:
    """The images (B, C, H, W), each with left and right exchanged at a probability of one half."""
    flip = draws.rand((len(images), 1, 1, 1)) < 0.5
    return torch.where(flip, images.flip(-1), images)
