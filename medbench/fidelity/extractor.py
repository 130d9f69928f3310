"""Inception features: torch-fidelity's network, all asked dimensions from one forward pass."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng, seed_for

EXTRACTOR_NAME = "inception-v3-compat"
DIMENSIONS = (64, 192, 768, 2048)
CALIBRATION_IMAGES = 16
CALIBRATION_SIZE = 64  # pixels; the network enlarges them


class InceptionExtractor:
    """Features of uint8 images, after torch-fidelity's own resizing to 299×299 (bilinear, as TensorFlow 1 does).

    Args:
        dimensions: of 64, 192, 768, 2048; the forward pass ends with the deepest.
        state: a state dict in torch-fidelity's naming; None for weights drawn with `seed`, for demonstrations only.
        weights_sha256: of the file that `state` came from, for the description.

    Raises:
        UserError: a dimension that Inception has not, or a state dict of another network.
    """

    def __init__(
        self,
        dimensions: Sequence[int],
        state: Mapping[str, Tensor] | None,
        weights_sha256: str | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ):
        self.dimensions = tuple(sorted(set(dimensions)))
        if not self.dimensions or not set(self.dimensions) <= set(DIMENSIONS):
            raise UserError(f"dimensions: {list(dimensions)} (allowed: one or more of {list(DIMENSIONS)})")
        self.device = torch.device(device)
        with torch.device("meta"):  # layers take no memory and no random numbers from the global generator
            network = _Network([str(dim) for dim in self.dimensions])
        network = network.to_empty(device="cpu")
        if state is None:
            self.description = f"{EXTRACTOR_NAME}, RANDOM weights (seed {seed})"
            set_random_weights(network, seed)
        else:
            self.description = f"{EXTRACTOR_NAME}, weights sha256 {weights_sha256 or 'not given'}"
            try:
                network.load_state_dict(state)
            except RuntimeError as error:
                what = f"do not fit {EXTRACTOR_NAME}: {' '.join(str(error).split())[:200]}"
                raise UserError(f"the weights {what}; give torch-fidelity's file") from error
        self.network = network.to(device=self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def features(
        self, images: np.ndarray, batch_size: int = 32, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """One float32 array (N, D) per dimension D, under the key str(D), of uint8 images (N, H, W) or (N, H, W, 3).

        `progress` is called with (images done, images in all) after each batch, whose size changes speed alone.

        Raises:
            UserError: images of another shape or type, or a feature that is NaN or infinite.
        """
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)):
            raise UserError(f"images are {images.dtype} {images.shape}; give uint8 (N, H, W) or (N, H, W, 3)")
        arrays = {str(dim): np.empty((len(images), dim), np.float32) for dim in self.dimensions}
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            outputs = self.network(_three_channels(batch).to(self.device))
            for (key, array), output in zip(arrays.items(), outputs, strict=True):
                if not torch.isfinite(output).all():
                    raise UserError(
                        f"features at dimension {key} are NaN or infinite ({self.description}): the weights file is"
                        f" probably truncated or damaged; give a whole one, or do not ask for dimension {key}"
                    )
                array[start : start + len(batch)] = output.cpu().numpy()
            if progress:
                progress(start + len(batch), len(images))
        return arrays


def _three_channels(images: np.ndarray) -> Tensor:
    """(B, 3, H, W) uint8, in memory as channels_last."""
    pixels = torch.from_numpy(np.ascontiguousarray(images if images.ndim == 4 else images[..., None]))
    return pixels.expand(-1, -1, -1, 3).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


class _Network(FeatureExtractorInceptionV3):
    """torch-fidelity's network without its weights.

    The constructor of torch-fidelity downloads a file or unpickles the one it is given. It is handed an empty state
    dict in memory, and the weights are set afterwards, from tensors that were read safely.
    """

    def __init__(self, features: list[str]):
        empty = io.BytesIO()
        torch.save({}, empty)
        empty.seek(0)
        super().__init__(EXTRACTOR_NAME, features, feature_extractor_weights_path=empty)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(state_dict, strict=strict and bool(state_dict), assign=assign)


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
    rng = numpy_rng(seed, "inception", "images")
    images = np.stack([_calibration_image(rng, 1 if i % 2 else 3) for i in range(CALIBRATION_IMAGES)])
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(images))
    network.eval()


def _calibration_image(rng: np.random.RandomState, channels: int) -> np.ndarray:
    """Blobs, one edge and noise, gray or coloured: (3, size, size) uint8."""
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
