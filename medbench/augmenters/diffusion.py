"""What diffusion models share: what they learn, their scheduler, and the reverse process from noise to images."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor, nn

from medbench.augmenters import schedules
from medbench.augmenters.base import UNLABELLED, Job
from medbench.augmenters.batches import Drawn
from medbench.augmenters.components import AugmenterTask, NetworkAugmenter
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.augmenters.image_tensors import noise, to_uint8
from medbench.data.dataset import Split
from medbench.system.runtime import Runtime
from medbench.training.task import Batch

Scheduler: TypeAlias = DDPMScheduler | DDIMScheduler | DPMSolverMultistepScheduler
SectionT = TypeVar("SectionT", bound=DiffusionSection)
SNAPSHOTS = 9  # pictures of the first image on its way
# x (B, C, H, W), timestep (B,), labels (B,) or None -> what the network predicts, like x
Predict = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def beta_tensor(schedule: str, timesteps: int) -> Tensor:
    """See medbench.augmenters.schedules; float32 (T,)."""
    return torch.from_numpy(schedules.betas(schedule, timesteps)).float()


def scheduler_of(section: DiffusionSection, prediction: str) -> Scheduler:
    """diffusers' scheduler for a section's noise schedule and sampler, of a network that predicts epsilon or v.

    ancestral: the posterior variance (Ho et al. 2020, eq. 7), every timestep. ddim: deterministic (Song et al. 2021,
    eq. 12 with η = 0). dpmsolver++: second order, multistep (Lu et al. 2022). The latter two take evenly spaced
    timesteps that end at the last one, T (Lin et al. 2024, sec. 3.3).
    """
    clip = section.clip_sample
    common = {
        "num_train_timesteps": section.timesteps,
        "trained_betas": beta_tensor(section.schedule, section.timesteps).tolist(),
        "prediction_type": "epsilon" if prediction == "epsilon" else "v_prediction",
    }
    match section.sampler:
        case "ancestral":
            return DDPMScheduler(**common, variance_type="fixed_small", clip_sample=clip)
        case "ddim":
            return DDIMScheduler(**common, clip_sample=clip, set_alpha_to_one=True, timestep_spacing="trailing")
    # Its clipping is dynamic thresholding (Saharia et al. 2022) with the threshold held at 1.
    return DPMSolverMultistepScheduler(
        **common, thresholding=clip, sample_max_value=1.0, timestep_spacing="trailing", final_sigmas_type="zero"
    )


class DiffusionAugmenter(NetworkAugmenter[SectionT], Generic[SectionT]):
    """Networks that see images through a codec; their scheduler is saved beside them."""

    codec: Any  # of medbench.augmenters.codec

    @property
    def scheduler(self) -> Scheduler:
        return scheduler_of(self.section, getattr(self.section, "prediction", "epsilon"))

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.scheduler.save_pretrained(folder / "scheduler")

    def denoising(self, predict: Predict, n_steps: int, seed: int, job: Job) -> "Denoising":
        return Denoising(predict, self.scheduler, n_steps, self.codec.shape, self.codec.decode, seed, job.runtime)


def noise_loss(predicted: Tensor, noise: Tensor, loss: str, huber_beta: float) -> Tensor:
    """The scalar training loss between predicted and true noise (B, C, H, W), in float32."""
    losses: dict[str, Callable[..., Tensor]]
    losses = {"l1": F.l1_loss, "l2": F.mse_loss, "huber": partial(F.smooth_l1_loss, beta=huber_beta)}
    return losses[loss](predicted.float(), noise.float())


class NoisePrediction(AugmenterTask):
    """Ho et al. 2020, eq. 14, and its relatives under other losses.

    Args:
        network: (x, timestep, labels, ...) -> prediction.
    """

    def __init__(self, augmenter: Any, network: Any, val: Split, job: Job):
        super().__init__(augmenter, {"unet": network}, val, job)
        self.losses, self.encode, section = {"unet": self.loss}, augmenter.codec.encode, self.section
        self.prediction = getattr(section, "prediction", "epsilon")
        betas = beta_tensor(section.schedule, section.timesteps).tolist()
        self.process = DDPMScheduler(section.timesteps, trained_betas=betas)
        x = torch.cat([self.encode(part, None) for part in self.probed.images.split(section.batch_size)])
        timestep = torch.randint(section.timesteps, (len(x),), generator=self.generator).to(x.device)
        noise = torch.randn(x.shape, generator=self.generator).to(x.device)
        self._probed = self.process.add_noise(x, noise, timestep), timestep, self.probed.labels, noise

    @abstractmethod
    def seen(self, batch: Batch) -> tuple[Tensor, ...]:
        """x₀ (B, C, H, W) of a batch, and what else the network is told beside the time."""

    def loss(self, batch: Batch) -> Tensor:
        x, *conditions = self.seen(batch)
        timestep = batch.draws.randint(0, self.section.timesteps, (len(x),))
        noise = batch.draws.randn(x.shape)
        x_t = self.process.add_noise(x, noise, timestep)  # √ᾱ x₀ + √(1 − ᾱ) ε (Ho et al. 2020, eq. 4)
        target = noise
        if self.prediction == "v":  # √ᾱ ε − √(1 − ᾱ) x₀ (Salimans and Ho 2022, sec. 2.4 and appendix D)
            target = self.process.get_velocity(x, noise, timestep)
        predicted = self.predict(x_t, timestep, *conditions)
        return noise_loss(predicted, target, self.section.loss, self.section.huber_beta)

    def probe(self) -> dict[str, float]:
        """Plain ε-MSE on fixed validation images, times and noise: one scale for every loss and prediction."""
        parts = zip(*(tensor.split(self.section.batch_size) for tensor in self._probed), strict=True)
        squares = [F.mse_loss(self._noise_in(x, t, k), noise, reduction="sum") for x, t, k, noise in parts]
        return {"eps_mse": float(torch.stack(squares).sum() / self._probed[-1].numel())}

    def predict(self, x: Tensor, timestep: Tensor, *conditions: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        predicted: Tensor = self.networks["unet"](x, timestep, *conditions)
        return predicted

    def _noise_in(self, x_t: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        """ε as the network sees it: v gives ε = √ᾱ v + √(1 − ᾱ) x_t."""
        predicted = self.predict(x_t, timestep, labels).float()
        return predicted if self.prediction == "epsilon" else self.process.get_velocity(-x_t, predicted, timestep)


def guided(network: nn.Module, scale: float, null_class: int) -> Predict:
    """Classifier-free guidance (Ho and Salimans 2022, eq. 6 with w = scale − 1), both halves in one batch.

    scale 1 is the conditional network alone, 0 the null class alone.
    """

    def predict(x: Tensor, timestep: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None:
            raise ValueError("a guided network needs labels")
        null = torch.full_like(labels, null_class)
        if scale in (0, 1):
            one: Tensor = network(x, timestep, labels if scale == 1 else null)
            return one
        both = network(torch.cat([x, x]), torch.cat([timestep, timestep]), torch.cat([labels, null]))
        conditional, unconditional = both.float().chunk(2)
        return unconditional + scale * (conditional - unconditional)

    return predict


@dataclass(frozen=True)
class Denoising:
    """Draws images (see medbench.augmenters.batches.Draw)."""

    predict: Predict  # on the device, in evaluation mode
    scheduler: Scheduler
    n_steps: int
    shape: tuple[int, int, int]  # of what is denoised (C, H, W): pixels or latents
    decode: Callable[[Tensor], Tensor]  # to images (B, C, H, W) in [-1, 1]
    seed: int  # image i is drawn from (seed, i)
    runtime: Runtime

    @torch.inference_mode()
    def draw(self, rows: np.ndarray, labels: np.ndarray) -> Drawn:
        """uint8 images of rows (B,) given labels (B,)."""
        device, accelerator = self.runtime.torch_device, self.runtime.accelerator()
        x, generators = noise(rows, self.shape, self.seed)
        x = x.to(device) * float(self.scheduler.init_noise_sigma)
        given = None if labels[0] == UNLABELLED else torch.from_numpy(labels).to(device)
        self.scheduler.set_timesteps(self.n_steps)
        # Only the ancestral sampler draws noise on the way.
        drawing = {"generator": generators} if isinstance(self.scheduler, DDPMScheduler) else {}
        snapshots: dict[int, Tensor] = {}
        kept = set(np.linspace(0, self.n_steps, SNAPSHOTS).round().astype(int).tolist())
        for place, t in enumerate(self.scheduler.timesteps.tolist()):
            if place in kept and rows[0] == 0:  # the scheduler counts 0..T-1; x enters its step t at time t + 1 of 1..T
                snapshots[int(t) + 1] = self._images(x[:1])[0]
            with accelerator.autocast():
                x_in = x.contiguous(memory_format=torch.channels_last)
                predicted = self.predict(x_in, torch.full((len(rows),), t, device=device), given)
            x = self.scheduler.step(predicted.float(), t, x, **drawing).prev_sample
        images = self._images(x)
        return Drawn(images, {**snapshots, 0: images[0]} if snapshots else {})

    def _images(self, x: Tensor) -> Tensor:
        return to_uint8(self.decode(x)).cpu()
