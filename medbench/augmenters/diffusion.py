"""What every diffusion augmenter shares: noise schedules, losses, schedulers."""

from typing import TypeAlias

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from medbench.augmenters import schedules
from medbench.augmenters.diffusion_sections import DiffusionSection

Scheduler: TypeAlias = DDPMScheduler | DDIMScheduler | DPMSolverMultistepScheduler


def betas(schedule: str, timesteps: int) -> Tensor:
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
        "trained_betas": betas(section.schedule, section.timesteps).tolist(),
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


def noise_loss(predicted: Tensor, noise: Tensor, loss: str, huber_beta: float) -> Tensor:
    """The scalar training loss between predicted and true noise (B, C, H, W), in float32."""
    predicted, noise = predicted.float(), noise.float()
    match loss:
        case "l1":
            return F.l1_loss(predicted, noise)
        case "l2":
            return F.mse_loss(predicted, noise)
        case "huber":
            return F.smooth_l1_loss(predicted, noise, beta=huber_beta)
    raise ValueError(f"loss {loss!r} is not one of l1, l2, huber")


def to_model_range(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) in 0..255 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Floats in [-1, 1], cut off outside -> uint8 (B, C, H, W)."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
