"""torchvision's ResNet as the classifier."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms.v2 import functional as transforms

from medbench.core.errors import UserError
from medbench.training.task import TrainingData
from medbench.utility.sections import ClassifierSection

# Of ImageNet's images in [0, 1], which the published weights expect; from scratch any fixed scale does.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def build(section: ClassifierSection, n_classes: int, weights: Mapping[str, Tensor] | None) -> nn.Module:
    """A network (B, 3, S, S) -> logits (B, n_classes); its new weights come from torch's global generator.

    Source: He et al. 2016; He-normal initialisation as in torchvision.

    Raises:
        UserError: `weights` are not those of this network.
    """
    network: Any = getattr(models, section.network)(weights=None)
    if weights is not None:
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"utility.weights: are not torchvision's {section.network}: {reason}") from error
    network.fc = nn.Linear(network.fc.in_features, n_classes)
    built: nn.Module = network
    return built


def resized(data: TrainingData, size: int) -> TrainingData:
    """Images (N, C, H, W) uint8 at size × size, bilinear with antialiasing."""
    if data.images.shape[-2:] == (size, size):
        return data
    return TrainingData(transforms.resize(data.images, [size, size], antialias=True), data.labels)


def to_network_range(images: Tensor) -> Tensor:
    """uint8 (B, 1 or 3, H, W) -> float32 (B, 3, H, W), normalised; gray is repeated."""
    scaled = images.expand(-1, 3, -1, -1).float() / 255
    mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (MEAN, STD))
    return ((scaled - mean) / std).contiguous(memory_format=torch.channels_last)
