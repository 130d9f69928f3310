"""What every diffusion augmenter shares: noise schedules, losses, schedulers."""

import math
from typing import TypeAlias

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from medbench.augmenters.sections import DiffusionSection

Scheduler: TypeAlias = DDPMScheduler | DDIMScheduler | DPMSolverMultistepScheduler


def betas(schedule: str, timesteps: int) -> Tensor:
    """The variances β_1..β_T of the forward process, float32 (T,), not rescaled to T as in the walk-through.

    Args:
        schedule: linear (Ho et al. 2020), cosine (Nichol and Dhariwal 2021, eq. 17), quadratic, or sigmoid.
        timesteps: T, at least 2.
    """
    start, end = 1e-4, 0.02
    ramp = torch.linspace(0, 1, timesteps, dtype=torch.float64)
    match schedule:
        case "linear":
            values = start + (end - start) * ramp
        case "quadratic":
            values = (start**0.5 + (end**0.5 - start**0.5) * ramp) ** 2
        case "sigmoid":
            values = torch.sigmoid(12 * ramp - 6) * (end - start) + start
        case "cosine":
            values = _cosine_betas(timesteps)
        case _:
            raise ValueError(f"schedule {schedule!r} is not one of linear, cosine, quadratic, sigmoid")
    return values.float()


def _cosine_betas(timesteps: int, s: float = 0.008) -> Tensor:
    # diffusers' squaredcos_cap_v2 caps the last β at 0.999; the walk-through caps at 0.9999.
    x = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    alphas_cumprod = torch.cos((x + s) / (1 + s) * math.pi / 2) ** 2
    return (1 - alphas_cumprod[1:] / alphas_cumprod[:-1]).clamp(1e-4, 0.9999)


def scheduler_of(section: DiffusionSection, prediction: str, clips: bool) -> Scheduler:
    """diffusers' scheduler for a section's noise schedule and sampler.

    ancestral: the posterior variance (Ho et al. 2020, eq. 7), every timestep. ddim: deterministic (Song et al. 2021,
    eq. 12 with η = 0). dpmsolver++: second order, multistep (Lu et al. 2022). The latter two take evenly spaced
    timesteps that end at the last one, T (Lin et al. 2024, sec. 3.3).

    Args:
        prediction: what the network predicts, epsilon or v.
        clips: whether x0 is clipped to [-1, 1] where the section does not say; latents have no such bounds.
    """
    clip = clips if section.clip_sample is None else section.clip_sample
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
