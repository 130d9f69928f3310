"""The training loop that generators and classifiers share."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from medbench.config import TrainingSection
from medbench.data.dataset import Split
from medbench.errors import Interrupted
from medbench.progress import Progress
from medbench.rng import seed_for
from medbench.runtime import Runtime
from medbench.training.checkpoint import CheckpointStore
from medbench.training.signals import stop_on_signals

History = list[dict[str, float]]


class Task(Protocol):
    """What is to be learned: a network, its loss, and a probe that means the same for every loss."""

    network: Any  # an nn.Module

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """images (B, C, H, W) uint8, labels (B,) int64 -> scalar. Every draw comes from `generator`."""

    def probe(self) -> dict[str, float]:
        """Named numbers for the log, on fixed images and fixed noise, without gradients."""

    def state(self) -> dict[str, Any]:
        """What the task itself must have back after a resume, beside the network: plain values and tensors."""

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""


@dataclass(frozen=True)
class TrainingData:
    """The training rows, on the device: images (N, C, H, W) uint8, labels (N,) int64."""

    images: Tensor
    labels: Tensor

    @staticmethod
    def of(split: Split, device: torch.device) -> "TrainingData":
        """A split, once on the device: batches are cut out there."""
        images = torch.from_numpy(split.images)
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return TrainingData(images.to(device), torch.from_numpy(split.labels).to(device))


@dataclass(frozen=True)
class Schedule:
    """How long, in what pieces and by which optimiser a network is trained."""

    steps: int
    batch_size: int
    log_steps: frozenset[int]  # after which the probe is asked
    checkpoint_every: int
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    learning_rate: Callable[[int], float]  # of a step, from 1: a pure function, so that resuming needs no state of it
    ema_decay: float | None = None

    @staticmethod
    def adam(section: TrainingSection, steps: int) -> "Schedule":
        """Adam at a constant rate, logged every few steps and at the end."""
        return Schedule(
            steps=steps,
            batch_size=section.batch_size,
            log_steps=frozenset([*range(section.log_every, steps, section.log_every), steps]),
            checkpoint_every=section.checkpoint_every,
            optimizer=partial(Adam, lr=section.learning_rate),
            learning_rate=lambda step: section.learning_rate,
            ema_decay=section.ema_decay,
        )


def train_network(
    task: Task,
    data: TrainingData,
    schedule: Schedule,
    seed: int,
    store: CheckpointStore,
    runtime: Runtime,
    title: str,
) -> History:
    """Trains task.network in place for schedule.steps optimiser steps, going on from the store's newest checkpoint.

    Every draw of step s comes from (seed, s) alone, so a resumed run equals an uninterrupted one bit by bit (on CPU at
    an equal number of threads; on GPU with deterministic algorithms). With `ema_decay` the network ends with the
    averaged weights. The last step is kept as a checkpoint until the caller has written what it led to.

    Returns:
        one row a logging interval: step, images_seen, loss (mean over the interval), and the probe's numbers.

    Raises:
        Interrupted: SIGTERM or SIGINT arrived; a checkpoint has been written.
    """
    loop, steps = _Loop(task, data, schedule, seed, store, runtime), schedule.steps
    start = loop.resume()
    progress = Progress(title, steps, "step", start)
    with stop_on_signals() as stop:
        for step in range(start + 1, steps + 1):
            loop.step(step)
            if step in schedule.log_steps:
                loop.log(step)
            if stop or step == steps or step % schedule.checkpoint_every == 0:
                loop.save(step)
            if stop:
                raise Interrupted(stop.signal_number, f"{title}: stopped after step {step}; run again to go on")
            progress.update(step, f"loss {loop.history[-1]['loss']:.4f}" if loop.history else "")
    progress.close()
    return loop.finish()


class _Loop:
    """The state of one training run and what one step does to it."""

    def __init__(
        self,
        task: Task,
        data: TrainingData,
        schedule: Schedule,
        seed: int,
        store: CheckpointStore,
        runtime: Runtime,
    ):
        self.task, self.data, self.schedule, self.seed, self.store = task, data, schedule, seed, store
        self.accelerator = runtime.accelerator()
        self.device = runtime.torch_device
        task.network.to(self.device, memory_format=torch.channels_last).train()
        optimizer = schedule.optimizer(task.network.parameters())
        task.network, self.optimizer = self.accelerator.prepare(task.network, optimizer)
        self.ema = _ema(self._parameters(), schedule.ema_decay) if schedule.ema_decay else None
        self.history: History = []
        # Summed where it is made: reading it every step would wait for the device every step.
        self.window_loss, self.window_steps = torch.zeros((), dtype=torch.float64, device=self.device), 0

    def step(self, step: int) -> None:
        torch.manual_seed(seed_for(self.seed, "global", step))  # for what takes no generator, such as dropout
        generator = torch.Generator(self.device).manual_seed(seed_for(self.seed, "step", step))
        rows = batch_rows(len(self.data.labels), self.schedule.batch_size, step, self.seed).to(self.device)
        with self.accelerator.autocast():
            loss = self.task.loss(self.data.images[rows], self.data.labels[rows], generator)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.optimizer.step()
        if self.ema:
            self.ema.step(self._parameters())
        self.window_loss += loss.detach()
        self.window_steps += 1

    def log(self, step: int) -> None:
        mean = float(self.window_loss) / self.window_steps
        with evaluating(self.task.network), self.accelerator.autocast():
            probe = self.task.probe()
        self.history.append({"step": step, "images_seen": step * self.schedule.batch_size, "loss": mean, **probe})
        self.window_loss.zero_()
        self.window_steps = 0

    def save(self, step: int) -> None:
        state: dict[str, Any] = {
            "network": self.accelerator.unwrap_model(self.task.network).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "history": self.history,
            "window": (float(self.window_loss), self.window_steps),
            "task": self.task.state(),
        }
        self.store.save(step, state)

    def resume(self) -> int:
        """Takes over the newest checkpoint; the number of steps already done."""
        checkpoint = self.store.latest()
        if checkpoint is None:
            return 0
        step, state = checkpoint
        self.accelerator.unwrap_model(self.task.network).load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema:
            self.ema.load_state_dict(state["ema"])
            self.ema.to(self.device)
        self.history = state["history"]
        window_loss, self.window_steps = state["window"]
        self.window_loss.fill_(window_loss)
        self.task.restore(state["task"])
        return step

    def finish(self) -> History:
        if self.ema:
            self.ema.copy_to(self._parameters())
        self.task.network = self.accelerator.unwrap_model(self.task.network)
        return self.history

    def _parameters(self) -> list[nn.Parameter]:
        return list(self.task.network.parameters())


def _ema(parameters: list[nn.Parameter], decay: float) -> Any:
    from diffusers.training_utils import EMAModel  # seconds of imports that a run without EMA need not pay

    return EMAModel(parameters, decay=decay)


def batch_rows(n: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Rows of batch number `step` (from 1): consecutive pieces of one random order of all rows after another.

    Returns:
        (batch_size,) int64, the same for the same arguments, whatever was drawn before.
    """
    first = (step - 1) * batch_size
    epochs = range(first // n, (first + batch_size - 1) // n + 1)
    rows = torch.cat([_order(n, seed, epoch) for epoch in epochs])
    start = first - epochs[0] * n
    return rows[start : start + batch_size]


@lru_cache(maxsize=2)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed_for(seed, "order", epoch)))


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients within the block, then training mode again."""
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train()
