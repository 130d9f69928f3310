"""What every diffusion augmenter shares: noise schedules, losses, the scheduler."""

import math

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import Tensor


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


def ancestral_scheduler(schedule: str, timesteps: int, clip_sample: bool | None) -> DDPMScheduler:
    """Ancestral sampling with the posterior variance (Ho et al. 2020, eq. 7).

    x0 is not clipped unless asked: clip_sample None clips only for cosine, whose first step multiplies by 100.
    """
    return DDPMScheduler(
        num_train_timesteps=timesteps,
        trained_betas=betas(schedule, timesteps).tolist(),
        variance_type="fixed_small",
        clip_sample=schedule == "cosine" if clip_sample is None else clip_sample,
        prediction_type="epsilon",
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
