"""Random Inception weights through which differences between images survive to the last layer."""

import numpy as np
import torch
from torch import Tensor, nn

from medbench.core.rng import numpy_rng, seed_for

CALIBRATION_IMAGES = 16
CALIBRATION_SIZE = 64  # pixels; the network enlarges them


def set_random_weights(network: nn.Module, seed: int) -> None:
    """Fills `network` in place: He-normal convolutions, and batch-norm statistics from one pass over drawn images.

    Torch's default initialisation shrinks the signal at every layer: after 768 channels the features of two images
    differ by 1e-8, and any FID would print as 0.000. He et al. 2015 keep the variance through a ReLU; the measured
    statistics keep the mean. The global generators are left alone.
    """
    generator = torch.Generator().manual_seed(seed_for(seed, "inception", "weights"))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            module.momentum = 1.0  # the running statistics become those of the one batch that follows
    network.train()
    with torch.no_grad():
        network(calibration_images(seed))
    network.eval()


def calibration_images(seed: int) -> Tensor:
    """Blobs, one edge and noise, gray and coloured by turns: uint8 (CALIBRATION_IMAGES, 3, size, size)."""
    rng = numpy_rng(seed, "inception", "images")
    images = np.stack([_draw(rng, 1 if i % 2 else 3) for i in range(CALIBRATION_IMAGES)])
    return torch.from_numpy(images)


def _draw(rng: np.random.RandomState, channels: int) -> np.ndarray:
    """(3, size, size) uint8."""
    y, x = np.mgrid[-1 : 1 : CALIBRATION_SIZE * 1j, -1 : 1 : CALIBRATION_SIZE * 1j]
    image = np.full((channels, CALIBRATION_SIZE, CALIBRATION_SIZE), rng.uniform(20, 160))
    for _ in range(rng.randint(2, 7)):
        cx, cy, radius = rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8), rng.uniform(0.05, 0.6)
        blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
        image += rng.uniform(-120, 120, (channels, 1, 1)) * blob
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6)
    image += rng.uniform(-80, 80, (channels, 1, 1)) * (x * np.cos(angle) + y * np.sin(angle) > offset)
    image += rng.normal(0, rng.uniform(1, 12), image.shape)
    return np.broadcast_to(image.clip(0, 255).astype(np.uint8), (3, CALIBRATION_SIZE, CALIBRATION_SIZE))
