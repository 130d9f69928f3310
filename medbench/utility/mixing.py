"""MixUp and CutMix: extra training images that are made anew at each step, in the classifier's loop."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from medbench.core.arms import Arm
from medbench.training.draws import Draws
from medbench.utility.sections import MixingSection

TRANSFORMS = {"mixup": v2.MixUp, "cutmix": v2.CutMix}


@dataclass(frozen=True)
class Mixing:
    """Mixes a batch with itself, now and then.

    Args:
        transform: torchvision's MixUp or CutMix.
        probability: of a batch to be mixed.
    """

    transform: nn.Module
    probability: float

    @staticmethod
    def of(section: MixingSection | None, arm: Arm, n_classes: int) -> "Mixing | None":
        """What an arm's batches undergo; None where it has ready images.

        Of `real+mixup@r`, 1 + r images for each real one, r are mixed: as many as other arms add. Of `only-mixup` all
        are.
        """
        if section is None:
            return None
        return Mixing(TRANSFORMS[section.kind](alpha=section.alpha, num_classes=n_classes), arm.ratio / arm.size)

    def __call__(self, images: Tensor, labels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Float images (B, C, H, W), labels (B,) -> images (B, C, H, W), labels (B, K) if mixed, else (B,).

        The chance comes from `draws`. Weights and boxes come from torch's global generator, which the training loop
        seeds at each step; torchvision's transforms take no other.

        Source: Zhang et al. 2018; Yun et al. 2019. Each image is mixed with the one before it in the batch.
        """
        if draws.rand(()) >= self.probability:
            return images, labels
        mixed, soft = self.transform(images, labels)
        return mixed.contiguous(memory_format=torch.channels_last), soft
