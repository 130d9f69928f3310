"""Classic augmentation as an augmenter: real images mirrored where allowed, moved, and slightly brightened."""

import math

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from medbench.augmenters.base import Job, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.image_sections import Classic
from medbench.augmenters.stored_images import StoredImages
from medbench.core.rng import seed_for

BILINEAR = v2.InterpolationMode.BILINEAR


class ClassicAugmenter(StoredImages[Classic]):
    """torchvision's transforms on real training images, in proportion to their classes."""

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        images, transform = self.real_images(labels, job), self._transform()

        def draw(rows: np.ndarray, _: np.ndarray) -> Drawn:
            return Drawn(torch.stack([_changed(images[row], transform, job.seed, int(row)) for row in rows]))

        return sample_in_batches(draw, labels, self.spec.tensor_shape, self.section.sample_batch_size, job)

    def _transform(self) -> v2.Transform:
        section, option = self.section, self.section.randaugment
        recolours = self.spec.hue_shift if section.hue_shift is None else section.hue_shift
        light = v2.ColorJitter(section.brightness, section.contrast, hue=section.hue if recolours else 0)
        chosen = [v2.RandAugment(option.operations, option.magnitude, interpolation=BILINEAR)] if option else []
        mirror = [v2.RandomHorizontalFlip()] if self.flips else []
        return v2.Compose([*mirror, *_moved(section, self.spec.size), light, *chosen])


def _changed(image: np.ndarray, transform: v2.Transform, seed: int, row: int) -> Tensor:
    """(H, W) or (H, W, 3) -> (C, H, W), both uint8."""
    with torch.random.fork_rng(devices=[]):
        # Of the CPU alone, where torchvision's transforms draw; torch.manual_seed would seed a GPU's generator too.
        torch.default_generator.manual_seed(seed_for(seed, "image", row))
        changed: Tensor = transform(v2.functional.to_image(image))
    return changed


def _moved(section: Classic, size: tuple[int, int]) -> list[v2.Transform]:
    """Rotation, zoom and shift in one resampling; what comes in is a reflection of the image, not black.

    A reflection is narrower than the image, so a very long image, or one zoomed out by half, keeps black tips.
    """
    if section.rotation == section.shift == section.zoom == 0:
        return []
    padding = [_reach(section, side, math.hypot(*size)) for side in size]
    # RandomAffine takes shifts as fractions of what it moves: the padded image.
    down, across = (section.shift * side / (side + 2 * more) for side, more in zip(size, padding, strict=True))
    zoom = (1 - section.zoom, 1 + section.zoom)
    return [
        v2.Pad(padding[::-1], padding_mode="reflect"),
        v2.RandomAffine(section.rotation, (across, down), zoom, interpolation=BILINEAR),
        v2.CenterCrop(list(size)),
    ]


def _reach(section: Classic, side: int, diagonal: float) -> int:
    """Pixels beyond a side that a corner comes from when shifted, turned and shrunk; at most what a reflection has."""
    extent = diagonal if section.rotation else side
    return min(math.ceil((0.5 + section.shift) * extent / (1 - section.zoom) - side / 2) + 1, side - 1)
