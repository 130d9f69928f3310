import os
import signal
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from medbench.config import TrainingSection
from medbench.errors import Interrupted, UserError
from medbench.runtime import Runtime
from medbench.training.checkpoint import CheckpointStore
from medbench.training.loop import Schedule, TrainingData, batch_rows, train_network

RUNTIME = Runtime("cpu", "fp32", 1, False)
SECTION = TrainingSection(batch_size=4, log_every=5, checkpoint_every=3, learning_rate=1e-2)
STEPS = 14
IMAGES = torch.randint(0, 256, (10, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
DATA = TrainingData(IMAGES, torch.arange(10) % 2)


class Regression:
    """Learns the mean image from noisy ones, with dropout: draws from its generator and from the global one."""

    def __init__(self, signal_at: int = 0, signal_number: int = signal.SIGTERM):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(8, 1, 3, padding=1))
        self.calls, self.signal_at, self.signal_number = 0, signal_at, signal_number
        self.probes = 0

    def loss(self, images, labels, generator):
        self.calls += 1
        if self.calls == self.signal_at:
            os.kill(os.getpid(), self.signal_number)
        x = images.float() / 255
        noisy = x + torch.randn(x.shape, generator=generator)
        return (self.network(noisy) - x).pow(2).mean() + 0 * labels.sum()

    def state(self):
        return {"probes": self.probes}

    def restore(self, state):
        self.probes = state["probes"]

    def probe(self):
        assert not self.network.training
        self.probes += 1
        return {"eps_mse": float(self.network(torch.ones(1, 1, 4, 4)).sum())}


def trained(folder, task=None, section=SECTION, belongs_to="this"):
    task = task or Regression()
    store = CheckpointStore(folder, belongs_to)
    history = train_network(
        task, DATA, Schedule.adam(section, STEPS), seed=1, store=store, runtime=RUNTIME, title="test"
    )
    return SimpleNamespace(weights=task.network.state_dict(), history=history, probes=task.probes, steps=task.calls)


def assert_same(a, b):
    assert (a.history, a.probes) == (b.history, b.probes)
    for name, weight in a.weights.items():
        assert torch.equal(weight, b.weights[name]), name


@pytest.mark.parametrize("section", [SECTION, SECTION.model_copy(update={"ema_decay": 0.9})], ids=["plain", "ema"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_and_resumed_is_bit_identical(tmp_path, section, number):
    whole = trained(tmp_path / "whole", section=section)
    with pytest.raises(Interrupted, match="stopped after step 7") as stop:
        trained(tmp_path / "cut", Regression(signal_at=7, signal_number=number), section)
    assert stop.value.signal_number == number
    resumed = trained(tmp_path / "cut", section=section)
    assert resumed.steps == STEPS - 7
    assert_same(whole, resumed)


def test_a_damaged_newest_checkpoint_costs_steps_but_no_bit(tmp_path):
    whole = trained(tmp_path / "whole")
    with pytest.raises(Interrupted):
        trained(tmp_path / "cut", Regression(signal_at=7))
    sorted((tmp_path / "cut").iterdir())[-1].write_bytes(b"damaged")
    resumed = trained(tmp_path / "cut")
    assert resumed.steps == STEPS - 6  # from the checkpoint of step 6
    assert_same(whole, resumed)


def test_a_finished_run_is_not_trained_again(tmp_path):
    whole = trained(tmp_path)
    again = trained(tmp_path)
    assert again.steps == 0
    assert_same(whole, again)


def test_resuming_as_something_else_is_refused(tmp_path):
    trained(tmp_path)
    with pytest.raises(UserError, match="belongs to other settings"):
        trained(tmp_path, belongs_to="that")


def test_the_log_has_the_mean_loss_of_each_interval_and_the_last_step(tmp_path):
    history = trained(tmp_path).history
    assert [row["step"] for row in history] == [5, 10, 14]
    assert [row["images_seen"] for row in history] == [20, 40, 56]
    assert {"loss", "eps_mse"} <= set(history[0])


def test_ema_ends_with_the_average(tmp_path):
    plain = trained(tmp_path / "plain")
    averaged = trained(tmp_path / "ema", section=SECTION.model_copy(update={"ema_decay": 0.99}))
    start = Regression().network.state_dict()
    name = "0.weight"
    # The average lies between where the weights began and where they ended: nearer the start than the end does.
    moved = [(end.weights[name] - start[name]).norm() for end in (averaged, plain)]
    assert 0 < moved[0] < moved[1]


def test_batches_walk_through_one_random_order_after_another():
    rows = torch.cat([batch_rows(10, 4, step, seed=0) for step in range(1, 11)]).reshape(4, 10)
    for order in rows:
        assert sorted(order.tolist()) == list(range(10))
    assert not torch.equal(rows[0], rows[1])


def test_a_batch_may_be_larger_than_the_set():
    rows = torch.cat([batch_rows(3, 8, step, seed=0) for step in (1, 2, 3)])
    assert torch.bincount(rows).tolist() == [8, 8, 8]
