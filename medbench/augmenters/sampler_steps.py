"""How many steps a diffusion model's sampler takes."""

USUAL_STEPS = 50
FEWEST_STEPS = 20  # that are taken without being asked for


def steps_up_to(most: int, sampler: str, timesteps: int) -> int:
    """As many steps as a sampler can take, at most so many.

    diffusers' DDIM goes from t to t − ⌊T / n⌋: where n does not divide T, that is not the next of its timesteps.

    >>> steps_up_to(50, "ddim", 300), steps_up_to(25, "ddim", 40), steps_up_to(25, "dpmsolver++", 40)
    (50, 20, 25)
    """
    most = min(most, timesteps)
    return next(n for n in range(most, 0, -1) if sampler != "ddim" or timesteps % n == 0)


def usual_steps(sampler: str, timesteps: int) -> int:
    """All timesteps for the ancestral sampler, about 50 for the others."""
    return timesteps if sampler == "ancestral" else steps_up_to(USUAL_STEPS, sampler, timesteps)
