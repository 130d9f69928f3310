"""Ancestral sampling in batches: image i depends on (seed, i) alone, and what is finished survives a kill."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn

from medbench.augmenters.base import UNLABELLED, Job, Samples
from medbench.augmenters.diffusion import to_uint8
from medbench.errors import Interrupted
from medbench.progress import Progress
from medbench.rng import seed_for
from medbench.training.checkpoint import CheckpointStore
from medbench.training.signals import StopRequest, stop_on_signals

SAVE_INTERVAL = 60.0  # seconds of work that a kill may cost, rounded up to a batch
SNAPSHOTS = 9  # pictures of the first image on its way


@dataclass(frozen=True)
class AncestralSampler:
    """Draws images with `networks`, noise predictors on the device and in evaluation mode.

    Args:
        networks: one or several; each image names the one that makes it.
        scheduler: holds the noise schedule; its `step` is one ancestral step.
        shape: of one image (C, H, W).
        batch_size: changes speed and memory, not the images (beyond rounding).
    """

    networks: Sequence[nn.Module]
    scheduler: DDPMScheduler
    shape: tuple[int, int, int]
    batch_size: int
    job: Job

    def sample(self, owner: np.ndarray, labels: np.ndarray) -> Samples:
        """Image i by networks[owner[i]] given labels[i] (UNLABELLED for an unconditional network), both (N,) int64.

        Raises:
            Interrupted: SIGTERM or SIGINT arrived; the finished images have been saved.
        """
        job, store = self.job, CheckpointStore(self.job.checkpoints, self.job.belongs_to)
        state = _resumed_or_new(store, len(labels), self.shape)
        progress = Progress(job.title, len(labels), "image", int(state["done"].sum()))
        saved = time.monotonic()
        with stop_on_signals() as stop:
            for rows in _batches(owner, state["done"].numpy(), self.batch_size):
                self._sample_rows(state, rows, owner, labels, stop)
                if stop or time.monotonic() - saved > SAVE_INTERVAL:
                    store.save(int(state["done"].sum()), state)
                    saved = time.monotonic()
                if stop:
                    raise Interrupted(stop.signal_number, f"{job.title}: stopped; run again to go on")
                progress.update(int(state["done"].sum()))
        progress.close()
        return Samples(
            images=_as_stored(state["images"]),
            labels=labels,
            trajectory=_as_stored(state["trajectory"]),
            trajectory_timesteps=state["timesteps"].numpy(),
        )

    def _sample_rows(
        self, state: dict[str, Any], rows: np.ndarray, owner: np.ndarray, labels: np.ndarray, stop: StopRequest
    ) -> None:
        """One batch into the state; nothing of it when asked to stop halfway."""
        snapshots: dict[int, Tensor] = {}
        images = self._denoise(self.networks[owner[rows[0]]], rows, labels[rows], snapshots, stop)
        if stop:
            return
        state["images"][rows], state["done"][rows] = images, True
        if rows[0] == 0:
            state["trajectory"] = torch.stack(list(snapshots.values()))
            state["timesteps"] = torch.tensor(list(snapshots))

    @torch.inference_mode()
    def _denoise(
        self, network: nn.Module, rows: np.ndarray, labels: np.ndarray, snapshots: dict[int, Tensor], stop: StopRequest
    ) -> Tensor:
        """uint8 images (B, C, H, W); leaves the first one's way, by time from T down to 0, in `snapshots`."""
        device, scheduler = self.job.runtime.torch_device, self.scheduler
        accelerator = self.job.runtime.accelerator()
        # A generator an image, on the CPU: the same noise for every batch size and device.
        generators = [torch.Generator().manual_seed(seed_for(self.job.seed, "image", int(row))) for row in rows]
        x = torch.stack([torch.randn(self.shape, generator=generator) for generator in generators]).to(device)
        given = None if labels[0] == UNLABELLED else torch.from_numpy(labels).to(device)
        n_steps = int(scheduler.config["num_train_timesteps"])
        scheduler.set_timesteps(n_steps)
        kept = set(np.linspace(0, n_steps, SNAPSHOTS).round().astype(int).tolist())
        for t in scheduler.timesteps.tolist():
            if t + 1 in kept:  # the scheduler counts 0..T-1; what enters its step t is x at time t + 1 of 1..T
                snapshots[t + 1] = to_uint8(x[0]).cpu()
            if stop:
                break
            with accelerator.autocast():
                x_in = x.contiguous(memory_format=torch.channels_last)
                eps = network(x_in, torch.full((len(rows),), t, device=device), given)
            x = scheduler.step(eps.float(), t, x, generator=generators).prev_sample
        snapshots[0] = to_uint8(x[0]).cpu()
        return to_uint8(x).cpu()


def _resumed_or_new(store: CheckpointStore, n: int, shape: tuple[int, int, int]) -> dict[str, Any]:
    checkpoint = store.latest()
    if checkpoint is not None:
        return checkpoint[1]
    return {
        "images": torch.zeros((n, *shape), dtype=torch.uint8),
        "done": torch.zeros(n, dtype=torch.bool),
        "trajectory": torch.zeros((0, *shape), dtype=torch.uint8),
        "timesteps": torch.zeros(0, dtype=torch.int64),
    }


def _batches(owner: np.ndarray, done: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Rows still to do, at most batch_size of one owner at a time."""
    for network in np.unique(owner):
        rows = np.flatnonzero((owner == network) & ~done)
        yield from (rows[i : i + batch_size] for i in range(0, len(rows), batch_size))


def _as_stored(images: Tensor) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W) or (N, H, W, 3)."""
    array = images.permute(0, 2, 3, 1).contiguous().numpy()
    return array[..., 0] if array.shape[-1] == 1 else array
