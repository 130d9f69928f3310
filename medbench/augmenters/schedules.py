"""Noise schedules, and how many steps a sampler takes through them."""

import numpy as np


def betas(schedule: str, timesteps: int) -> np.ndarray:
    """The variances β_1..β_T of the forward process, float64 (T,), not rescaled to T as in the walk-through.

    Schedules: linear (Ho et al. 2020), cosine (Nichol and Dhariwal 2021, eq. 17), quadratic, sigmoid.
    """
    start, end = 1e-4, 0.02
    ramp = np.linspace(0, 1, timesteps)
    match schedule:
        case "linear":
            return start + (end - start) * ramp
        case "quadratic":
            return (start**0.5 + (end**0.5 - start**0.5) * ramp) ** 2
        case "sigmoid":
            return (end - start) / (1 + np.exp(6 - 12 * ramp)) + start
        case "cosine":
            # diffusers' squaredcos_cap_v2 caps the last β at 0.999; the walk-through caps at 0.9999.
            s, x = 0.008, np.linspace(0, 1, timesteps + 1)
            alphas_cumprod = np.cos((x + s) / (1 + s) * np.pi / 2) ** 2
            return (1 - alphas_cumprod[1:] / alphas_cumprod[:-1]).clip(1e-4, 0.9999)
    raise ValueError(f"schedule {schedule!r} is not one of linear, cosine, quadratic, sigmoid")


def last_signal(schedule: str, timesteps: int) -> float:
    """√ᾱ_T: what is left of the image, as a factor, at the end of the forward process.

    >>> round(last_signal("linear", 300), 2), round(last_signal("linear", 1000), 4)
    (0.22, 0.0064)
    """
    return float(np.sqrt(np.prod(1 - betas(schedule, timesteps))))


USUAL_STEPS = 50
FEWEST_STEPS = 20  # that are taken without being asked for


def steps_up_to(most: int, sampler: str, timesteps: int) -> int:
    """As many steps as a sampler can take, at most so many: a divisor of T for DDIM, which diffusers strides evenly.

    >>> steps_up_to(50, "ddim", 300), steps_up_to(25, "ddim", 40), steps_up_to(25, "dpmsolver++", 40)
    (50, 20, 25)
    """
    most = min(most, timesteps)
    return next(n for n in range(most, 0, -1) if sampler != "ddim" or timesteps % n == 0)


def usual_steps(sampler: str, timesteps: int) -> int:
    """All timesteps for the ancestral sampler, about 50 for the others."""
    return timesteps if sampler == "ancestral" else steps_up_to(USUAL_STEPS, sampler, timesteps)
