"""What is learned, and from what: the side of a training that each kind of network has of its own.

Draws for a batch that several processes may share are the same for an image, however many there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medbench.data.dataset import Split


@dataclass(frozen=True)
class Share:
    """The part of every batch that one process takes."""

    rank: int  # of this process, from 0
    processes: int  # how many share a batch
    size: int  # images in a share

    def of(self, batch: Tensor, dim: int = 0) -> Tensor:
        """The share's part of one batch, or of several one after another (real and generated images, say)."""
        if self.processes == 1:
            return batch
        return batch.unflatten(dim, (-1, self.processes, self.size)).select(dim + 1, self.rank).flatten(dim, dim + 1)


class Draws:
    """Draws for the images of one step: every process draws for the whole batch and keeps its share.

    Without a share, exactly the numbers that torch's functions give. A `shape` is the share's, its images along `dim`;
    () is one number for the whole batch.
    """

    def __init__(self, generator: torch.Generator, share: Share | None = None):
        self.generator, self.device, self.share = generator, generator.device, share

    def rand(self, shape: Sequence[int], dim: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        """Uniform in [0, 1)."""
        return self._drawn(torch.rand, shape, dim, dtype=dtype)

    def randn(self, shape: Sequence[int]) -> Tensor:
        """Standard normal."""
        return self._drawn(torch.randn, shape, dim=0)

    def randint(self, low: int, high: int, shape: Sequence[int], dim: int = 0) -> Tensor:
        """Integers from `low` to `high` − 1."""
        return self._drawn(partial(torch.randint, low, high), shape, dim)

    def _drawn(self, draw: Callable[..., Tensor], shape: Sequence[int], dim: int, **options: Any) -> Tensor:
        processes = self.share.processes if self.share else 1
        whole = tuple(side * processes if place == dim else side for place, side in enumerate(shape))
        batch = draw(whole, generator=self.generator, device=self.device, **options)
        return self.share.of(batch, dim) if self.share and batch.ndim else batch


@dataclass(frozen=True)
class Batch:
    """What one step learns from: images (B, C, H, W) uint8, labels (B,) int64; every draw comes from `draws`.

    Of several processes each has its share of a batch, and the mean of their losses is descended. A loss that is a mean
    over images is then that of the whole batch; any other mean over the batch is taken by `mean`.
    """

    images: Tensor
    labels: Tensor
    step: int  # from 1
    draws: Draws  # on the images' device
    mean: Callable[[Tensor], Tensor] = lambda value: value  # from a mean over these images to that over the batch


class Task:
    """What is learned: networks, the loss of each, and a probe that means the same for every loss.

    `networks` and `losses` have the same keys. The first network is the product; any other is its adversary, descends
    its own loss in the same step, and is not averaged. A loss of None leaves its network as it is. A signal may break
    off a probe or a check anywhere; it is then made again after the resume, from what `state` gives at that moment.
    """

    networks: dict[str, Any]  # of nn.Module; the loop puts the prepared ones in their place
    losses: dict[str, Callable[[Batch], Tensor | None]]

    def probe(self) -> dict[str, float]:
        """Named numbers for the log, on fixed images and fixed noise, without gradients; the same names every time."""
        return {}

    def check(self, step: int) -> dict[str, float]:
        """Numbers that cost more than a probe's, asked only after Schedule.check_steps, on the same terms."""
        return {}

    def state(self) -> dict[str, Any]:
        """What the task needs after a resume, beside the networks: plain values and tensors."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave; the default needs nothing, as every draw comes from the step."""


@dataclass(frozen=True)
class TrainingData:
    """The training rows, on the device: images (N, C, H, W) uint8, labels (N,) int64."""

    images: Tensor
    labels: Tensor

    @staticmethod
    def of(split: Split, device: torch.device) -> "TrainingData":
        """A split, once on the device: batches are cut out there."""
        return TrainingData(channels_first(split.images).to(device), torch.from_numpy(split.labels).to(device))


def channels_first(images: np.ndarray) -> Tensor:
    """(N, H, W) or (N, H, W, 3) -> (N, C, H, W), of the same memory."""
    tensor = torch.from_numpy(images)
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)
