"""Classic augmentation as an augmenter: real images mirrored where allowed, rotated, changed by RandAugment."""

import math

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from medbench.augmenters.base import Job, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.copying import StoredImages
from medbench.augmenters.sections import Classic
from medbench.rng import seed_for

BILINEAR = v2.InterpolationMode.BILINEAR


class ClassicAugmenter(StoredImages[Classic]):
    """torchvision's transforms on real training images, in proportion to their classes.

    Source: Cubuk et al. 2020, RandAugment, with its 14 operations; what they move in is black.
    """

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        images, transform = self.real_images(labels, job), self._transform()

        def draw(rows: np.ndarray, _: np.ndarray) -> Drawn:
            return Drawn(torch.stack([_changed(images[row], transform, job.seed, int(row)) for row in rows]))

        shape = (self.spec.channels, *self.spec.size)
        return sample_in_batches(draw, labels, shape, self.section.sample_batch_size, job)

    def _transform(self) -> v2.Transform:
        section = self.section
        mirror = [v2.RandomHorizontalFlip()] if self.flips else []
        turn = _rotation(section.rotation, self.spec.size) if section.rotation else []
        change = v2.RandAugment(section.operations, section.magnitude, interpolation=BILINEAR)
        return v2.Compose([*mirror, *turn, change])


def _changed(image: np.ndarray, transform: v2.Transform, seed: int, row: int) -> Tensor:
    """(H, W) or (H, W, 3) -> (C, H, W), both uint8."""
    with torch.random.fork_rng(devices=[]):
        # Of the CPU alone, where torchvision's transforms draw; torch.manual_seed would seed a GPU's generator too.
        torch.default_generator.manual_seed(seed_for(seed, "image", row))
        changed: Tensor = transform(v2.functional.to_image(image))
    return changed


def _rotation(degrees: float, size: tuple[int, int]) -> list[v2.Transform]:
    """A rotation around the centre whose corners come from a reflection of the image, not from black.

    Half the diagonal is as far as a corner reaches; a reflection is narrower than the image, so a very long image keeps
    black tips.
    """
    height, width = size
    down, across = (min(math.ceil((math.hypot(*size) - side) / 2), side - 1) for side in size)
    return [
        v2.Pad([across, down], padding_mode="reflect"),
        v2.RandomRotation(degrees, interpolation=BILINEAR),
        v2.CenterCrop([height, width]),
    ]
