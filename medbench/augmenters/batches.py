"""Sampling in batches: image i depends on (seed, i) alone, and what is finished survives a kill."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medbench.augmenters.base import Job, Samples
from medbench.augmenters.image_tensors import as_stored
from medbench.core.errors import Interrupted
from medbench.run.logs import Progress
from medbench.system.signals import stop_on_signals
from medbench.training.checkpoint import CheckpointStore

SAVE_INTERVAL = 60.0  # seconds of work that a kill may cost, rounded up to a batch


@dataclass(frozen=True)
class Drawn:
    """images (B, C, H, W) uint8 on the CPU; snapshots: timestep -> the first (C, H, W) on its way from noise."""

    images: Tensor
    snapshots: dict[int, Tensor] = field(default_factory=dict)


Draw = Callable[[np.ndarray, np.ndarray], Drawn]  # of rows (B,) and labels (B,); a signal may break it off anywhere


def sample_in_batches(
    draw: Draw,
    labels: np.ndarray,
    shape: tuple[int, int, int],
    batch_size: int,
    job: Job,
    owner: np.ndarray | None = None,
) -> Samples:
    """Image i of `shape` (C, H, W), for labels[i], by `draw`; resumes from job.checkpoints.

    Args:
        draw: each image must depend on (job.seed, row) alone, see image_tensors.noise.
        batch_size: changes speed and memory, not the images (beyond rounding).
        owner: (N,) rows of different owners never share a batch (one network per class, say).

    Raises:
        Interrupted: SIGTERM or SIGINT arrived; the finished images have been saved.
    """
    store = CheckpointStore(job.checkpoints, job.belongs_to)
    state = _resumed_or_new(store, len(labels), shape)
    n_done = int(state["done"].sum())
    progress = Progress(job.title, len(labels), "image", n_done)
    saved = time.monotonic()
    with stop_on_signals() as stop:
        owner = np.zeros_like(labels) if owner is None else owner
        for rows in _batches(owner, state["done"].numpy(), batch_size):
            drawn = None
            with contextlib.suppress(Interrupted), stop.breaking_off():
                drawn = draw(rows, labels[rows])
            if drawn is not None:
                _put(state, rows, drawn)
                n_done += len(rows)
            if stop or time.monotonic() - saved > SAVE_INTERVAL:
                store.save(n_done, state)
                saved = time.monotonic()
            if stop:
                raise stop.interrupted(f"{job.title}: stopped after {n_done} images")
            progress.update(n_done)
    progress.close()
    trajectory = as_stored(state["trajectory"])
    return Samples(as_stored(state["images"]), labels, trajectory, state["timesteps"].numpy())


def _put(state: dict[str, Any], rows: np.ndarray, drawn: Drawn) -> None:
    state["images"][rows], state["done"][rows] = drawn.images, True
    if rows[0] == 0 and drawn.snapshots:
        state["trajectory"] = torch.stack(list(drawn.snapshots.values()))
        state["timesteps"] = torch.tensor(list(drawn.snapshots))


def _resumed_or_new(store: CheckpointStore, n: int, shape: tuple[int, int, int]) -> dict[str, Any]:
    checkpoint = store.latest()
    return (
        checkpoint[1]
        if checkpoint
        else {
            "images": torch.zeros((n, *shape), dtype=torch.uint8),
            "done": torch.zeros(n, dtype=torch.bool),
            "trajectory": torch.zeros((0, *shape), dtype=torch.uint8),
            "timesteps": torch.zeros(0, dtype=torch.int64),
        }
    )


def _batches(owner: np.ndarray, done: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Rows still to do, at most batch_size of one owner at a time."""
    for network in np.unique(owner):
        rows = np.flatnonzero((owner == network) & ~done)
        yield from (rows[i : i + batch_size] for i in range(0, len(rows), batch_size))
