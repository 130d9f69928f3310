"""Label-conditioned diffusion in pixels or latents: what its kinds share. A kind brings its network and its space."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from medbench.augmenters.base import ImageSpec, Job, LogRows, Samples
from medbench.augmenters.batches import sample_in_batches
from medbench.augmenters.codec import LatentCodec, PixelCodec
from medbench.augmenters.components import NetworkAugmenter, seed_weights, train_component
from medbench.augmenters.diffusion import Denoising, Scheduler, guided, scheduler_of
from medbench.augmenters.diffusion_sections import ConditionalDiffusion
from medbench.augmenters.fidelity_check import FidelityCheck
from medbench.augmenters.noise_prediction import ConditionalTask
from medbench.data.dataset import Split
from medbench.training.loop import Schedule

Codec = PixelCodec | LatentCodec
SectionT = TypeVar("SectionT", bound=ConditionalDiffusion)


class ConditionalAugmenter(NetworkAugmenter[SectionT], Generic[SectionT]):
    """A denoiser (x, timestep, labels, augment) -> prediction, trained and sampled in the space of a codec."""

    components = ("unet",)

    def __init__(self, section: SectionT, spec: ImageSpec):
        super().__init__(section, spec)
        self.codec: Any = None  # a Codec

    @abstractmethod
    def new_codec(self, job: Job) -> Codec:
        """The space, from what the job names."""

    @abstractmethod
    def new_network(self, codec: Codec) -> nn.Module:
        """A denoiser for that space; its weights come from torch's global generator."""

    @property
    def divisor(self) -> int:
        """What the denoiser needs to divide the sides of what it sees."""
        return int(2 ** (len(self.section.widths) - 1))

    @property
    def scheduler(self) -> Scheduler:
        return scheduler_of(self.section, self.section.prediction)

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        section = self.section
        self.codec = self.new_codec(job).to(job.runtime.torch_device)
        seed_weights("unet", job)
        network = self.new_network(self.codec)
        check = FidelityCheck(section, val, job) if section.reads_inception else None
        task = ConditionalTask(network, self.codec, section, self.flips, val, job, self._denoising, check)
        schedule = Schedule.adam(section, section.steps, check_steps=check_steps(section))
        rows = train_component("unet", task, train, schedule, job)
        self.networks["unet"], kept = task.chosen()
        return [{**row, "kept": int(row["step"] == kept)} for row in rows]

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        device, section = job.runtime.torch_device, self.section
        self.codec.to(device)
        network = self.networks["unet"].to(device, memory_format=torch.channels_last).eval()
        denoising = self._denoising(network, section.sample_steps, job.seed, job)
        return sample_in_batches(denoising.draw, labels, self.spec.tensor_shape, section.sample_batch_size, job)

    def _denoising(self, network: nn.Module, n_steps: int, seed: int, job: Job) -> Denoising:
        predict = guided(network, self.section.guidance_scale, null_class=len(self.spec.classes))
        return Denoising(predict, self.scheduler, n_steps, self.codec.shape, self.codec.decode, seed, job.runtime)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.scheduler.save_pretrained(folder / "scheduler")


def check_steps(section: ConditionalDiffusion) -> frozenset[int]:
    """Evenly spaced, the last after the last step."""
    n = section.fidelity_checks
    return frozenset(round(i * section.steps / n) for i in range(1, n + 1))
