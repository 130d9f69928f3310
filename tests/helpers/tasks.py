"""A task that is learned in an instant, and what a training of it leads to."""

import os
import signal
from types import SimpleNamespace

import torch
from torch import nn

from medbench.core.sections import TrainingSection
from medbench.system.runtime import Runtime
from medbench.training.checkpoint import CheckpointStore
from medbench.training.loop import Schedule, train_network
from medbench.training.task import Task, TrainingData

RUNTIME = Runtime("cpu", "fp32", 1, False)
SECTION = TrainingSection(batch_size=4, log_every=5, checkpoint_every=3, learning_rate=1e-2)
STEPS = 14
OURS = {"run": "this"}  # what checkpoints belong to
IMAGES = torch.randint(0, 256, (10, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
DATA = TrainingData(IMAGES, torch.arange(10))


class Regression(Task):
    """Learns the mean image from noisy ones, with dropout: draws from its generator and from the global one.

    Args:
        seed: of its first weights.
        signal_at: the step in which it sends its process a signal.
        signal_number: which one.
    """

    def __init__(self, seed: int = 0, signal_at: int = 0, signal_number: int = signal.SIGTERM):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(8, 1, 3, padding=1))
        self.networks, self.losses = {"conv": network}, {"conv": self.loss}
        self.signal_at, self.signal_number = signal_at, signal_number
        self.steps, self.probes, self.drawn = 0, 0, []

    @property
    def network(self):
        return self.networks["conv"]

    def loss(self, batch):
        self.steps += 1
        if batch.step == self.signal_at:
            os.kill(os.getpid(), self.signal_number)
        x = batch.images.float() / 255
        noise = batch.draws.randn(x.shape)
        self.drawn.append((noise, torch.get_rng_state(), batch.labels))
        return (self.network(x + noise) - x).pow(2).mean()

    def state(self):
        return {"probes": self.probes}

    def restore(self, state):
        self.probes = state["probes"]

    def probe(self):
        assert not self.network.training
        self.probes += 1
        return {"eps_mse": float(self.network(torch.ones(1, 1, 4, 4)).sum())}


def trained(folder, task=None, section=SECTION, belongs_to=OURS, runtime=RUNTIME, **schedule):
    """The task after its steps, and what it has logged; its checkpoints lie in the folder."""
    task, store = task or Regression(), CheckpointStore(folder, belongs_to)
    history = train_network(task, DATA, Schedule.adam(section, STEPS, **schedule), 1, store, runtime, "test")
    weights = {name: network.state_dict() for name, network in task.networks.items()}
    return SimpleNamespace(task=task, history=history, weights=weights)


def assert_same(a, b):
    assert a.history == b.history
    assert_same_weights(a.weights, b.weights)


def assert_same_weights(some, others):
    for name, state in some.items():
        assert all(torch.equal(weight, others[name][key]) for key, weight in state.items()), name
