"""The hinge losses of adversarial training (Lim and Ye 2017), one for each side."""

import torch
from torch import Tensor


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """mean max(0, 1 − real) + mean max(0, 1 + fake), scores (B,) (Lim and Ye 2017)."""
    return torch.relu(1 - real.float()).mean() + torch.relu(1 + fake.float()).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """−mean of the scores (B,) of generated images."""
    return -fake.float().mean()
