"""Real training images returned as if they were generated; and what augmenters without a network share."""

from pathlib import Path
from typing import Self

import numpy as np

from medbench.augmenters.base import Augmenter, ImageSpec, Job, LogRows, Samples, SectionT
from medbench.augmenters.image_sections import Copy
from medbench.core.labels import real_rows
from medbench.core.rng import numpy_rng
from medbench.data.dataset import Split
from medbench.run.formats import read_npz, write_npz


class StoredImages(Augmenter[SectionT]):
    """An augmenter whose model is images: images.npz with images (N, H, W) or (N, H, W, 3) uint8 and labels (N,)."""

    def __init__(self, section: SectionT, spec: ImageSpec):
        super().__init__(section, spec)
        self.images = np.zeros((0, *spec.shape), dtype=np.uint8)
        self.labels = np.zeros(0, dtype=np.int64)

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        """Keeps the training images."""
        self.images, self.labels = train.images, train.labels
        return []

    def save(self, folder: Path) -> None:
        write_npz(folder / "images.npz", {"images": self.images, "labels": self.labels})

    @classmethod
    def load(cls, section: SectionT, spec: ImageSpec, folder: Path) -> Self:
        augmenter, arrays = cls(section, spec), read_npz(folder / "images.npz")
        augmenter.images, augmenter.labels = arrays["images"], arrays["labels"]
        return augmenter

    def real_images(self, labels: np.ndarray, job: Job) -> np.ndarray:
        """One kept image per label: in random order, all of a class equally often, or some once more."""
        images: np.ndarray = self.images[real_rows(labels, self.labels, numpy_rng(job.seed, "rows"))]
        return images


class CopyAugmenter(StoredImages[Copy]):
    """The control that fidelity alone would crown."""

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        return Samples(self.real_images(labels, job), labels)
