"""What the parts of the denoiser share."""

from typing import TypeVar

from torch import nn

GROUPS = 8  # every width is a multiple of it
Layer = TypeVar("Layer", bound=nn.Module)


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels)


def zeroed(layer: Layer) -> Layer:
    """The layer with all its weights at zero.

    As the last layer of a residual branch it makes the branch start as the identity, so that depth does not hurt the
    first steps (Goyal et al. 2017, sec. 5.1); Ho et al. 2020 and Dhariwal and Nichol 2021 start their U-Nets so.
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
