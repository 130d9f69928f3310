"""The annotated diffusion model as an augmenter: DDPM in pixel space under L1, L2 or Huber."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medbench.augmenters.annotated import AnnotatedUNet
from medbench.augmenters.base import UNLABELLED, Augmenter, History, ImageSpec, Job, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.denoising import Denoising
from medbench.augmenters.diffusion import betas, noise_loss, scheduler_of, to_model_range
from medbench.augmenters.diffusion_sections import AnnotatedDDPM
from medbench.core.errors import UserError
from medbench.core.rng import seed_for
from medbench.data.dataset import Split
from medbench.training.augmentation import mirrored
from medbench.training.checkpoint import CheckpointStore
from medbench.training.loop import Schedule, count_parameters, train_network
from medbench.training.task import Batch, Task, TrainingData


class AnnotatedDDPMAugmenter(Augmenter[AnnotatedDDPM]):
    """Rogge and Rasul 2022; after Ho et al. 2020. `conditioning: class` trains one network a class."""

    def __init__(self, section: AnnotatedDDPM, spec: ImageSpec):
        super().__init__(section, spec)
        self.networks: dict[str, AnnotatedUNet] = {}

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the networks, and of their folders in the saved model."""
        per_class = self.section.conditioning == "class"
        return tuple(f"unet_class{k}" for k in range(len(self.spec.classes))) if per_class else ("unet",)

    def fit(self, train: Split, val: Split, job: Job) -> History:
        rows: History = []
        for k, name in enumerate(self.components):
            torch.manual_seed(seed_for(job.seed, "init", name))
            task = NoisePrediction(self._new_network(), self.section, self.flips, self._part(val, k), job)
            history = train_network(
                task,
                TrainingData.of(self._part(train, k), job.runtime.torch_device),
                Schedule.adam(self.section, self._steps(k)),
                seed_for(job.seed, "train", name),
                CheckpointStore(job.checkpoints / name, job.belongs_to),
                job.runtime,
                f"{job.title} {name}",
            )
            self.networks[name] = task.networks["unet"]
            rows += [{"component": name, **row} for row in history]
        return rows

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        section, per_class = self.section, self.section.conditioning == "class"
        known = labels if section.labelled else np.full_like(labels, UNLABELLED)
        owner = labels if per_class else np.zeros_like(labels)
        networks = [self._ready(name, job) for name in self.components]
        shape = (self.spec.channels, *self.spec.size)

        def draw(rows: np.ndarray, given: np.ndarray) -> Drawn:
            network = networks[owner[rows[0]]]
            scheduler = scheduler_of(section, "epsilon")
            steps = Denoising(network, scheduler, section.sample_steps, shape, lambda x: x, job.seed, job.runtime)
            return steps.draw(rows, given)

        return sample_in_batches(draw, known, shape, section.sample_batch_size, job, owner)

    def save(self, folder: Path) -> None:
        for name, network in self.networks.items():
            network.save_pretrained(folder / name)
        scheduler_of(self.section, "epsilon").save_pretrained(folder / "scheduler")

    def parameters(self) -> dict[str, int]:
        return {name: count_parameters(network) for name, network in self.networks.items()}

    @classmethod
    def load(cls, section: AnnotatedDDPM, spec: ImageSpec, folder: Path) -> "AnnotatedDDPMAugmenter":
        augmenter = cls(section, spec)
        for name in augmenter.components:
            augmenter.networks[name] = AnnotatedUNet.from_pretrained(
                folder / name, local_files_only=True, use_safetensors=True
            )
        return augmenter

    def _new_network(self) -> AnnotatedUNet:
        section = self.section
        halvings = len(section.multipliers) - 1
        if min(self.spec.size) < 2**halvings:
            raise UserError(
                f"multipliers {list(section.multipliers)} halve the image {halvings} times, too often for"
                f" {min(self.spec.size)} pixels; give fewer multipliers or a larger image_size"
            )
        return AnnotatedUNet(
            channels=self.spec.channels,
            width=section.width or _nearest_width(min(self.spec.size)),
            multipliers=section.multipliers,
            n_classes=len(self.spec.classes) if section.conditioning == "label" else None,
            standardization=section.weight_standardization,
        )

    def _ready(self, name: str, job: Job) -> AnnotatedUNet:
        """A network as it samples."""
        return self.networks[name].to(job.runtime.torch_device, memory_format=torch.channels_last).eval()

    def _steps(self, k: int) -> int:
        """The total shared out: the first networks take the remainder."""
        share, remainder = divmod(self.section.steps, len(self.components))
        return share + (k < remainder)

    def _part(self, split: Split, k: int) -> Split:
        """The rows that network k learns from, or all where a class has none to be probed on."""
        rows = np.flatnonzero(split.labels == k) if self.section.conditioning == "class" else np.arange(len(split))
        return split.rows(rows) if len(rows) else split


class NoisePrediction(Task):
    """Predicting the noise in x_t (Ho et al. 2020, eq. 14, and its L1 and Huber relatives)."""

    def __init__(self, network: AnnotatedUNet, section: AnnotatedDDPM, flips: bool, val: Split, job: Job):
        self.networks, self.losses = {"unet": network}, {"unet": self.loss}
        self.section, self.flips = section, flips
        betas_of = betas(section.schedule, section.timesteps)
        self.alphas_cumprod = torch.cumprod(1 - betas_of, 0).to(job.runtime.torch_device)
        self.labelled = section.conditioning == "label"
        self._fixed = self._fixed_set(val, job)

    def loss(self, batch: Batch) -> Tensor:
        x, draws = to_model_range(batch.images), batch.draws
        if self.flips:
            x = mirrored(x, draws)
        timestep = draws.randint(0, self.section.timesteps, (len(x),))
        noise = draws.randn(x.shape)
        predicted = self._predict(self.add_noise(x, noise, timestep), timestep, batch.labels)
        return noise_loss(predicted, noise, self.section.loss, self.section.huber_beta)

    def probe(self) -> dict[str, float]:
        """Plain ε-MSE on fixed validation images, times and noise: one scale for every loss."""
        *_, noise = self._fixed
        pieces = zip(*(tensor.split(self.section.batch_size) for tensor in self._fixed), strict=True)
        squares = [F.mse_loss(self._predict(x, t, k).float(), eps, reduction="sum") for x, t, k, eps in pieces]
        return {"eps_mse": float(torch.stack(squares).sum() / noise.numel())}

    def add_noise(self, x: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε (Ho et al. 2020, eq. 4), shapes (B, C, H, W), timestep (B,)."""
        alpha = self.alphas_cumprod[timestep][:, None, None, None]
        return alpha.sqrt() * x + (1 - alpha).sqrt() * noise

    def _predict(self, x: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        predicted: Tensor = self.networks["unet"](x, timestep, labels if self.labelled else None)
        return predicted

    def _fixed_set(self, val: Split, job: Job) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Noisy images, times, labels and the noise in them. Drawn on the CPU: the same set on every device."""
        generator = torch.Generator().manual_seed(seed_for(job.probe_seed, "probe"))
        rows = torch.randperm(len(val), generator=generator)[: self.section.probe_images].numpy()
        data = TrainingData.of(val.rows(rows), job.runtime.torch_device)
        timestep = torch.randint(self.section.timesteps, (len(rows),), generator=generator)
        noise = torch.randn(data.images.shape, generator=generator)
        timestep, noise = timestep.to(data.images.device), noise.to(data.images.device)
        return self.add_noise(to_model_range(data.images), noise, timestep), timestep, data.labels, noise


def _nearest_width(size: int) -> int:
    """The image's side as in the walk-through (28 for 28×28), down to a multiple of GroupNorm's 4, at least 4."""
    return max(size // 4 * 4, 4)
