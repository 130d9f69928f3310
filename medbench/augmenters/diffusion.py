"""What diffusion models share: loss, scheduler, and the reverse process from noise to images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor, nn

from medbench.augmenters import schedules
from medbench.augmenters.base import UNLABELLED
from medbench.augmenters.batches import Drawn
from medbench.augmenters.components import NetworkAugmenter
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.augmenters.image_tensors import noise, to_uint8
from medbench.system.runtime import Runtime

Scheduler: TypeAlias = DDPMScheduler | DDIMScheduler | DPMSolverMultistepScheduler
SectionT = TypeVar("SectionT", bound=DiffusionSection)
SNAPSHOTS = 9  # pictures of the first image on its way
# x (B, C, H, W), timestep (B,), labels (B,) or None -> what the network predicts, like x
Predict = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def beta_tensor(schedule: str, timesteps: int) -> Tensor:
    """See medbench.augmenters.schedules; float32 (T,)."""
    return torch.from_numpy(schedules.betas(schedule, timesteps)).float()


def scheduler_of(section: DiffusionSection, prediction: str) -> Scheduler:
    """diffusers' scheduler for a section's noise schedule and sampler.

    ancestral: the posterior variance (Ho et al. 2020, eq. 7), every timestep. ddim: deterministic (Song et al. 2021,
    eq. 12 with η = 0). dpmsolver++: second order, multistep (Lu et al. 2022). The latter two take evenly spaced
    timesteps that end at the last one, T (Lin et al. 2024, sec. 3.3).

    Args:
        prediction: what the network predicts, epsilon or v.
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
    """Its scheduler is saved beside its networks."""

    @property
    def scheduler(self) -> Scheduler:
        return scheduler_of(self.section, getattr(self.section, "prediction", "epsilon"))

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.scheduler.save_pretrained(folder / "scheduler")


def noise_loss(predicted: Tensor, noise: Tensor, loss: str, huber_beta: float) -> Tensor:
    """The scalar training loss between predicted and true noise (B, C, H, W), in float32."""
    losses: dict[str, Callable[..., Tensor]]
    losses = {"l1": F.l1_loss, "l2": F.mse_loss, "huber": partial(F.smooth_l1_loss, beta=huber_beta)}
    return losses[loss](predicted.float(), noise.float())


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
    """Draws images (see medbench.augmenters.batches.Draw).

    Args:
        predict: on the device, in evaluation mode.
        scheduler: of diffusers; holds the noise schedule and takes the steps.
        n_steps: of the sampler.
        shape: of what is denoised (C, H, W): pixels or latents.
        decode: to images (B, C, H, W) in [-1, 1].
        seed: image i is drawn from (seed, i).
    """

    predict: Predict
    scheduler: Scheduler
    n_steps: int
    shape: tuple[int, int, int]
    decode: Callable[[Tensor], Tensor]
    seed: int
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
