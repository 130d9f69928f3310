"""Channel attention: which channels matter in this image."""

import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from medbench.augmenters.medienet.layers import group_norm

REDUCTION, NARROWEST = 16, 8  # Hu et al. 2018, sec. 6.1, and a floor for narrow networks


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al. 2018, eq. 2 to 4), pre-normed and residual."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = group_norm(channels)
        self.excite = SqueezeExcitation(channels, max(channels // REDUCTION, NARROWEST))
        # The branch ends in a sigmoid, which no weights make zero: a zero gain a channel lets it start as the identity.
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W), residual included: the normed map, rescaled channel by channel, is added."""
        return x + self.gain * self.excite(self.norm(x))
