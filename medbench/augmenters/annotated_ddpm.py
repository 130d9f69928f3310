"""The annotated diffusion model as an augmenter: DDPM in pixel space under L1, L2 or Huber."""

from typing import Any

import numpy as np
from torch import Tensor

from medbench.augmenters.annotated import AnnotatedUNet
from medbench.augmenters.base import UNLABELLED, ImageSpec, Job, LogRows, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.codec import PixelCodec
from medbench.augmenters.components import seed_weights, train_component
from medbench.augmenters.diffusion import DiffusionAugmenter, NoisePrediction
from medbench.augmenters.diffusion_sections import AnnotatedDDPM
from medbench.core.errors import UserError
from medbench.data.dataset import Split
from medbench.training.loop import Schedule
from medbench.training.task import Batch


class AnnotatedDDPMAugmenter(DiffusionAugmenter[AnnotatedDDPM]):
    """Rogge and Rasul 2022; after Ho et al. 2020. `conditioning: class` trains one network per class."""

    LEAST_PER_CLASS = 1
    Network = AnnotatedUNet

    def __init__(self, section: AnnotatedDDPM, spec: ImageSpec):
        super().__init__(section, spec)
        per_class = section.conditioning == "class"
        self.codec = PixelCodec(spec.channels, spec.size, divisor=1)
        self.components = tuple(f"unet_class{k}" for k in range(len(spec.classes))) if per_class else ("unet",)

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        rows: LogRows = []
        for k, name in enumerate(self.components):
            seed_weights(name, job)
            task = WalkthroughTask(self, self.new_network(), self._part(val, k), job)
            schedule = Schedule.adam(self.section, self._steps(k))
            rows += train_component(name, task, self._part(train, k), schedule, job)
            self.networks[name] = task.networks["unet"]
        return rows

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        section = self.section
        known = labels if section.labelled else np.full_like(labels, UNLABELLED)
        owner = labels if section.conditioning == "class" else np.zeros_like(labels)
        networks = [self.ready(name, job) for name in self.components]
        denoisings = [self.denoising(network, section.sample_steps, job.seed, job) for network in networks]

        def draw(rows: np.ndarray, batch_labels: np.ndarray) -> Drawn:
            return denoisings[owner[rows[0]]].draw(rows, batch_labels)

        return sample_in_batches(draw, known, self.spec.tensor_shape, section.sample_batch_size, job, owner)

    def new_network(self, **given: Any) -> AnnotatedUNet:
        section = self.section
        halvings = len(section.multipliers) - 1
        if min(self.spec.size) < 2**halvings:
            raise UserError(
                f"multipliers {list(section.multipliers)} halve the image {halvings} times, too often for"
                f" {min(self.spec.size)} pixels; give fewer multipliers or a larger image_size"
            )
        return super().new_network(
            # The image's side as in the walk-through (28 for 28×28), down to a multiple of GroupNorm's 4, at least 4.
            width=section.width or max(min(self.spec.size) // 4 * 4, 4),
            n_classes=len(self.spec.classes) if section.conditioning == "label" else None,
            standardization=section.weight_standardization,
        )

    def _steps(self, k: int) -> int:
        """The total shared out: the first networks take the remainder."""
        share, remainder = divmod(self.section.steps, len(self.components))
        return share + (k < remainder)

    def _part(self, split: Split, k: int) -> Split:
        """The rows of class k for network k, or all rows where the class has none to be probed on."""
        rows = np.flatnonzero(split.labels == k) if self.section.conditioning == "class" else np.arange(len(split))
        return split.rows(rows) if len(rows) else split


class WalkthroughTask(NoisePrediction):
    """Predicting the noise in mirrored or plain pixels, given labels or not."""

    def seen(self, batch: Batch) -> tuple[Tensor, ...]:
        return self.real(batch), batch.labels

    def predict(self, x: Tensor, timestep: Tensor, *conditions: Tensor | None) -> Tensor:
        return super().predict(x, timestep, *(conditions if self.section.conditioning == "label" else ()))
