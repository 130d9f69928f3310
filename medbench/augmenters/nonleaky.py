"""Augmentation that does not leak: the network is told what was done to an image, and samples as if nothing was."""

import torch
from torch import Tensor

from medbench.training.augmentation import moved
from medbench.training.draws import Draws

TRANSFORMS = 3  # mirrored or not; shift by rows and by columns, in the largest shift


def augmented(images: Tensor, probability: float, shift: float, flips: bool, draws: Draws) -> tuple[Tensor, Tensor]:
    """Mirrored and shifted images, and what was done to each.

    Args:
        images: (B, C, H, W) uint8.
        probability: of each transform for each image.
        shift: the largest, of the shorter side; what comes in is a reflection.
        flips: whether mirroring keeps the meaning.
        draws: on the images' device.

    Returns:
        images (B, C, H, W) and the vectors (B, TRANSFORMS), zero where an image is as it was.

    Source: Karras et al. 2022, appendix F.2, with the two transforms that small medical images bear.
    """
    batch = len(images)
    chosen = draws.rand((2, batch), dim=1) < probability
    mirror = chosen[0] & flips
    images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
    most = int(shift * min(images.shape[-2:]))
    drawn = draws.randint(-most, most + 1, (batch, 2))
    offsets = torch.where(chosen[1][:, None], drawn, 0)
    vectors = torch.cat([mirror[:, None].float(), offsets / max(most, 1)], dim=1)
    return moved(images, offsets, most), vectors
