"""Label-conditioned diffusion in pixels or latents: what its kinds share. A kind brings its network and its space."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from medbench.augmenters.base import ImageSpec, Job, LogRows, Samples
from medbench.augmenters.batches import sample_in_batches
from medbench.augmenters.codec import LatentCodec, PixelCodec
from medbench.augmenters.components import NetworkAugmenter, seed_weights, train_component
from medbench.augmenters.diffusion import Denoising, Scheduler, guided, noise_loss, scheduler_of
from medbench.augmenters.diffusion_sections import ConditionalDiffusion
from medbench.augmenters.fidelity_check import FidelityCheck
from medbench.augmenters.noise_prediction import NoisePrediction
from medbench.augmenters.nonleaky_augmentation import augmented
from medbench.augmenters.schedules import steps_up_to
from medbench.core.rng import seed_for
from medbench.data.dataset import Split
from medbench.training.loop import Schedule
from medbench.training.task import Batch

Codec = PixelCodec | LatentCodec
SectionT = TypeVar("SectionT", bound=ConditionalDiffusion)
Sampler = Callable[[nn.Module, int, int, Job], Denoising]  # network, steps, seed, job


class ConditionalTask(NoisePrediction):
    """Given labels, which a null class replaces now and then, and what was done to the image.

    Args:
        network: (x, timestep, labels, augment) -> prediction; its null class is the number of classes.
        codec: from images to what the network sees.
        flips: whether training images are mirrored.
        val: for the probe.
        sampler: how the checks draw images.
        check: measures fidelity on val; None: no checks.
    """

    def __init__(
        self,
        network: Any,  # an nn.Module with a null_class
        codec: Any,
        section: ConditionalDiffusion,
        flips: bool,
        val: Split,
        job: Job,
        sampler: Sampler,
        check: FidelityCheck | None,
    ):
        self.section, self.prediction = section, section.prediction
        self.null_class: int = network.null_class
        self.sampler, self.fidelity_check = sampler, check
        super().__init__(network, codec.encode, section, flips, val, job)

    def loss(self, batch: Batch) -> Tensor:
        section, draws = self.section, batch.draws
        images, augment = augmented(batch.images, section.augment_probability, section.shift, self.flips, draws)
        x = self.encode(images, draws)
        dropped = draws.rand((len(x),)) < section.label_dropout
        labels = torch.where(dropped, self.null_class, batch.labels)
        timestep = draws.randint(0, section.timesteps, (len(x),))
        noise = draws.randn(x.shape)
        predicted = self.predict(self.noised(x, noise, timestep), timestep, labels, augment)
        target = noise if section.prediction == "epsilon" else self.velocity(x, noise, timestep)
        return noise_loss(predicted, target, section.loss, section.huber_beta)

    def check(self, step: int) -> dict[str, float]:
        """KID of images drawn from fixed noise against validation images; the best network so far is kept."""
        if self.fidelity_check is None:
            return {}
        section, network = self.section, self.networks["unet"]
        seed = seed_for(self.job.probe_seed, "check")
        n_steps = steps_up_to(min(section.check_steps, section.sample_steps), section.sampler, section.timesteps)
        denoising = self.sampler(network, n_steps, seed, self.job)
        return self.fidelity_check.measure(step, denoising, network)

    def chosen(self) -> tuple[nn.Module, int]:
        """The network that is to be used, and the step it comes from: the last, or as `select` says."""
        network: nn.Module = self.networks["unet"]
        if self.fidelity_check is not None and self.section.select == "kid":
            return network, self.fidelity_check.load_chosen(network)
        return network, self.section.steps

    def state(self) -> dict[str, Any]:
        return self.fidelity_check.state() if self.fidelity_check else {}

    def restore(self, state: dict[str, Any]) -> None:
        if self.fidelity_check:
            self.fidelity_check.restore(state)


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
