"""Augmentation that does not leak: the network sees what was done to an image, and samples as if nothing was."""

import torch
from torch import Tensor, nn

from medbench.training.augmentation import moved
from medbench.training.task import Draws

TRANSFORMS = 3  # mirrored or not; shift by rows and by columns, in the largest shift


def augmented(images: Tensor, probability: float, shift: float, flips: bool, draws: Draws) -> tuple[Tensor, Tensor]:
    """Mirrored and shifted images, and what was done to each.

    Args:
        probability: of each transform for each image.
        shift: the largest, of the shorter side; what comes in is a reflection.

    Returns:
        images (B, C, H, W) uint8 and the vectors (B, TRANSFORMS), zero where an image is as it was.

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


class Condition(nn.Module):
    """What joins the time embedding: the class, if it goes this way, and the augmentation (Karras et al. 2022, F.2)."""

    def __init__(self, n_classes: int | None, width: int):
        super().__init__()
        self.label = nn.Embedding(n_classes + 1, width) if n_classes is not None else None
        self.augment = nn.Linear(TRANSFORMS, width, bias=False)

    def forward(self, labels: Tensor, augment: Tensor | None) -> Tensor:
        """labels (B,), augment (B, TRANSFORMS) -> (B, width)."""
        weight = self.augment.weight
        done = weight.new_zeros(len(labels), TRANSFORMS) if augment is None else augment.to(weight.dtype)
        vector: Tensor = self.augment(done)
        return vector if self.label is None else vector + self.label(labels)
