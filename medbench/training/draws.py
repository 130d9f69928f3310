"""Random numbers for a batch that several processes may share: the same for an image, however many there are."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """The part of every batch that one process takes.

    Args:
        rank: of this process among `processes`, from 0.
        processes: how many share a batch; 1: the share is the whole.
        size: images in the share, equal for all.
    """

    rank: int
    processes: int
    size: int

    def of(self, batch: Tensor, dim: int = 0) -> Tensor:
        """The share's part of one batch, or of several one after another (real and generated images, say)."""
        if self.processes == 1:
            return batch
        return batch.unflatten(dim, (-1, self.processes, self.size)).select(dim + 1, self.rank).flatten(dim, dim + 1)


class Draws:
    """Draws for the images of one step: every process draws for the whole batch and keeps its share.

    Args:
        generator: on the device of the numbers, in the same state in every process.
        share: None: the whole batch, with exactly the numbers that torch's functions give.
    """

    def __init__(self, generator: torch.Generator, share: Share | None = None):
        self.generator, self.device, self.share = generator, generator.device, share

    def rand(self, shape: Sequence[int], dim: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        """Uniform in [0, 1). `shape` is the share's, its images along `dim`; () is one number for the whole batch."""
        shape = self._batch_shape(shape, dim)
        return self._kept(torch.rand(shape, generator=self.generator, device=self.device, dtype=dtype), dim)

    def randn(self, shape: Sequence[int]) -> Tensor:
        """Standard normal; `shape` is the share's, its images along the first dimension."""
        return self._kept(torch.randn(self._batch_shape(shape, 0), generator=self.generator, device=self.device), 0)

    def randint(self, low: int, high: int, shape: Sequence[int], dim: int = 0) -> Tensor:
        """Integers from `low` to `high` − 1; `shape` as of `rand`."""
        shape = self._batch_shape(shape, dim)
        return self._kept(torch.randint(low, high, shape, generator=self.generator, device=self.device), dim)

    def _batch_shape(self, shape: Sequence[int], dim: int) -> tuple[int, ...]:
        """The shape for the batch that belongs to one for the share."""
        processes = self.share.processes if self.share else 1
        return tuple(side * processes if place == dim else side for place, side in enumerate(shape))

    def _kept(self, batch: Tensor, dim: int) -> Tensor:
        return self.share.of(batch, dim) if self.share and batch.ndim else batch
