"""The training loop that generators and classifiers share."""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from medbench.core.errors import Interrupted, UserError
from medbench.core.rng import seed_for
from medbench.core.sections import TrainingSection
from medbench.run.logs import Progress
from medbench.system.runtime import Runtime
from medbench.system.signals import StopRequest, stop_on_signals
from medbench.training.checkpoint import CheckpointStore
from medbench.training.task import Batch, Draws, Task, TrainingData
from medbench.training.team import Team

History = list[dict[str, float]]

SAVE_INTERVAL = 300.0  # seconds of work that a kill may cost, rounded up to a step; or what checkpoint_every says


@dataclass(frozen=True)
class Schedule:
    """How long, in what pieces and by which optimiser networks are trained."""

    steps: int
    batch_size: int
    log_steps: frozenset[int]  # after which the probe is asked
    checkpoint_every: int
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    learning_rate: Callable[[int], float]  # of a step, from 1: a pure function, so that resuming needs no state of it
    ema_decay: float | None = None
    check_steps: frozenset[int] = frozenset()  # after which the task's check is asked too

    @staticmethod
    def adam(
        section: TrainingSection,
        steps: int,
        betas: tuple[float, float] = (0.9, 0.999),
        check_steps: frozenset[int] = frozenset(),
    ) -> "Schedule":
        """Adam at a constant rate, logged every few steps and at the end."""
        return Schedule(
            steps=steps,
            batch_size=section.batch_size,
            log_steps=frozenset([*range(section.log_every, steps, section.log_every), steps]),
            checkpoint_every=section.checkpoint_every,
            optimizer=partial(Adam, lr=section.learning_rate, betas=betas),
            learning_rate=lambda step: section.learning_rate,
            ema_decay=section.ema_decay,
            check_steps=check_steps,
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
    """Trains task.networks in place for schedule.steps optimiser steps, going on from the store's newest checkpoint.

    Every draw of step s comes from (seed, s) alone, so a resumed run equals an uninterrupted one bit by bit (on CPU at
    an equal number of threads; on GPU with deterministic algorithms). With `ema_decay` the first network is probed with
    its averaged weights, and ends with them. The last step is kept as a checkpoint until the caller has written what it
    led to.

    Several processes (medbench.training.team) end with the same networks; the first writes the checkpoints. Their sums
    are in another order than one process's, and dropout, which draws from the global generator, draws other masks.

    Returns:
        one row per logging interval: step, images_seen, loss (mean over the interval), loss_<name> for each network but
        the first, and the probe's numbers.

    Raises:
        UserError: the loss is no longer finite.
        Interrupted: SIGTERM or SIGINT arrived; a checkpoint has been written.
    """
    loop, steps = _Loop(task, data, schedule, seed, store, runtime), schedule.steps
    start = loop.resume()
    loop.team.require_same(start)
    progress = Progress(title, steps, "step", start)
    with stop_on_signals() as stop:
        for step in range(start, steps + 1):
            new = step > start  # else the step of the checkpoint, whose probe may have been broken off
            if new:
                loop.step(step)
            if loop.must_log(step):
                with contextlib.suppress(Interrupted):
                    loop.log(step, title, stop)
            agreed = loop.team.largest(stop.signal_number)  # one that arrives now is for the next step
            if agreed or (new and loop.must_save(step)):
                loop.save(step)
            if agreed:
                stop.signal_number = agreed
                raise stop.interrupted(f"{title}: stopped after step {step}")
            if new:
                progress.update(step, f"loss {loop.history[-1]['loss']:.4f}" if loop.history else "")
    progress.close()
    return loop.finish()


class _Loop:
    """The state of one training run and what one step does to it."""

    def __init__(
        self, task: Task, data: TrainingData, schedule: Schedule, seed: int, store: CheckpointStore, runtime: Runtime
    ):
        self.task, self.data, self.schedule, self.seed, self.store = task, data, schedule, seed, store
        self.accelerator = runtime.accelerator()
        self.team = Team(self.accelerator)
        self.share = self.team.share(schedule.batch_size)
        self.device = runtime.torch_device
        self.optimizers = {}
        for name, network in task.networks.items():
            network.to(self.device, memory_format=torch.channels_last).train()
            self.team.start_equal(network)
            optimizer = schedule.optimizer([parameter for parameter in network.parameters() if parameter.requires_grad])
            # In evaluation mode: with everything but the wrapper for several processes, see medbench.training.team.
            task.networks[name] = self.accelerator.prepare_model(network, evaluation_mode=True)
            self.optimizers[name] = self.accelerator.prepare_optimizer(optimizer)
        self.first = next(iter(task.networks))
        self.ema: Any = None
        if schedule.ema_decay:
            from diffusers.training_utils import EMAModel  # seconds of imports that a run without EMA need not pay

            # Warms up: min(decay, (1 + step) / (10 + step)). `foreach`: a GPU waits for hundreds of small calls.
            self.ema = EMAModel(self._parameters(), decay=schedule.ema_decay, foreach=True)
        self.history: History = []
        self.saved = time.monotonic()
        # Summed on the device: reading it every step would wait for the device every step.
        self.sums = {name: torch.zeros((), dtype=torch.float64, device=self.device) for name in task.networks}
        self.counts = dict.fromkeys(task.networks, 0)

    def step(self, step: int) -> None:
        # For what takes no generator, such as dropout: no two processes mask their images alike.
        torch.manual_seed(seed_for(self.seed, "global", step, *([self.team.rank] if self.team.rank else [])))
        generator = torch.Generator(self.device).manual_seed(seed_for(self.seed, "step", step))
        rows = batch_rows(len(self.data.labels), self.schedule.batch_size, step, self.seed)
        rows, draws = self.share.of(rows).to(self.device), Draws(generator, self.share)
        batch = Batch(self.data.images[rows], self.data.labels[rows], step, draws, self.team.mean)
        for name in self.task.networks:
            self._descend(name, batch)
        if self.ema:
            self.ema.step(self._parameters())

    def _descend(self, name: str, batch: Batch) -> None:
        """One step of one network on its own loss."""
        with self.accelerator.autocast():
            loss = self.task.losses[name](batch)
        if loss is None:
            return
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(batch.step)
        optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        loss = self.team.average(self.task.networks[name], loss.detach())
        optimizer.step()
        self.sums[name] += loss
        self.counts[name] += 1

    def must_log(self, step: int) -> bool:
        """Whether a probe is due after this step and has not been made."""
        logged = self.history[-1]["step"] if self.history else 0
        return step in self.schedule.log_steps | self.schedule.check_steps and logged < step

    def log(self, step: int, title: str, stop: StopRequest) -> None:
        """Raises Interrupted where a signal breaks off the probe, and is then as if it had not been called."""
        means = {name: float(total) / max(self.counts[name], 1) for name, total in self.sums.items()}
        if not all(map(math.isfinite, means.values())):
            if self.team.leads:
                self.store.discard()
            raise UserError(f"{title}: the loss is not finite at step {step}: lower learning_rate")
        with evaluating(self.task.networks), self._averaged(), self.accelerator.autocast(), stop.breaking_off():
            probe = self.task.probe() | (self.task.check(step) if step in self.schedule.check_steps else {})
        row = {"step": step, "images_seen": step * self.schedule.batch_size, "loss": means.pop(self.first)}
        self.history.append({**row, **{f"loss_{name}": mean for name, mean in means.items()}, **probe})
        for name, total in self.sums.items():
            total.zero_()
            self.counts[name] = 0

    def must_save(self, step: int) -> bool:
        late = time.monotonic() - self.saved > SAVE_INTERVAL
        return late or step == self.schedule.steps or step % self.schedule.checkpoint_every == 0

    def save(self, step: int) -> None:
        self.saved = time.monotonic()
        if not self.team.leads:
            return
        state: dict[str, Any] = {
            "networks": {name: network.state_dict() for name, network in self._unwrapped().items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "ema": self.ema.state_dict() if self.ema else None,
            "history": self.history,
            "window": {name: (float(self.sums[name]), self.counts[name]) for name in self.sums},
            "task": self.task.state(),
        }
        self.store.save(step, state)

    def resume(self) -> int:
        """Takes over the newest checkpoint; the number of steps already done."""
        checkpoint = self.store.latest()
        if checkpoint is None:
            return 0
        step, state = checkpoint
        for name, network in self._unwrapped().items():
            network.load_state_dict(state["networks"][name])
            self.optimizers[name].load_state_dict(state["optimizers"][name])
            total, self.counts[name] = state["window"][name]
            self.sums[name].fill_(total)
        if self.ema:
            self.ema.load_state_dict(state["ema"])
            self.ema.to(self.device)
        self.history = state["history"]
        self.task.restore(state["task"])
        return step

    def finish(self) -> History:
        if self.ema:
            self.ema.copy_to(self._parameters())
        self.task.networks |= self._unwrapped()
        return self.history

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Within the block the first network has its averaged weights, if there are any."""
        if self.ema is None:
            yield
            return
        self.ema.store(self._parameters())
        self.ema.copy_to(self._parameters())
        try:
            yield
        finally:
            self.ema.restore(self._parameters())

    def _unwrapped(self) -> dict[str, nn.Module]:
        return {name: self.accelerator.unwrap_model(network) for name, network in self.task.networks.items()}

    def _parameters(self) -> list[nn.Parameter]:
        return list(self.task.networks[self.first].parameters())


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def batch_rows(n: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Rows (batch_size,) of batch number `step` (from 1): pieces of one random order of all rows after another."""
    first = (step - 1) * batch_size
    epochs = range(first // n, (first + batch_size - 1) // n + 1)
    rows = torch.cat([_order(n, seed, epoch) for epoch in epochs])
    start = first - epochs[0] * n
    return rows[start : start + batch_size]


@lru_cache(maxsize=2)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed_for(seed, "order", epoch)))


@contextlib.contextmanager
def evaluating(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Evaluation mode and no gradients within the block, then training mode again."""
    for network in networks.values():
        network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for network in networks.values():
            network.train()
