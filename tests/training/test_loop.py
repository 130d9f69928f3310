"""The loop: what it logs, saves and averages, and adversaries that learn in it by turns."""

import os
import signal

import pytest
import torch
from torch import nn

from medbench.core.errors import Interrupted, UserError
from medbench.training import loop
from medbench.training.checkpoint import CheckpointStore
from medbench.training.loop import batch_rows, count_parameters
from medbench.training.task import Task
from tests.helpers.tasks import SECTION, STEPS, Regression, assert_same, assert_same_weights, trained


def test_slow_steps_are_saved_more_often_and_the_same_comes_of_it(tmp_path, monkeypatch):
    whole, saved = trained(tmp_path / "whole"), []
    monkeypatch.setattr(loop, "SAVE_INTERVAL", 0.0)
    save = CheckpointStore.save
    monkeypatch.setattr(
        CheckpointStore, "save", lambda self, step, state: saved.append(step) or save(self, step, state)
    )
    assert_same(whole, trained(tmp_path / "often"))
    assert saved == list(range(1, STEPS + 1))


def test_a_finished_run_is_not_trained_again(tmp_path):
    whole = trained(tmp_path)
    again = trained(tmp_path)
    assert again.task.steps == 0
    assert_same(whole, again)


def test_resuming_as_something_else_is_refused(tmp_path):
    trained(tmp_path)
    with pytest.raises(UserError, match='made with run "this", not "that"'):
        trained(tmp_path, belongs_to={"run": "that"})


def test_the_log_has_the_mean_loss_of_each_interval_and_the_last_step(tmp_path):
    history = trained(tmp_path).history
    assert [row["step"] for row in history] == [5, 10, 14]
    assert [row["images_seen"] for row in history] == [20, 40, 56]
    assert {"loss", "eps_mse"} <= set(history[0])


def test_ema_ends_with_the_average(tmp_path):
    plain = trained(tmp_path / "plain")
    averaged = trained(tmp_path / "ema", section=SECTION.model_copy(update={"ema_decay": 0.99}))
    start = Regression().network[0].weight
    # The average lies between where the weights began and where they ended: nearer the start than the end does.
    moved = [(end.task.network[0].weight - start).norm() for end in (averaged, plain)]
    assert 0 < moved[0] < moved[1]


def test_batches_walk_through_one_random_order_after_another():
    rows = torch.cat([batch_rows(10, 4, step, seed=0) for step in range(1, 11)]).reshape(4, 10)
    for order in rows:
        assert sorted(order.tolist()) == list(range(10))
    assert not torch.equal(rows[0], rows[1])


def test_a_batch_may_be_larger_than_the_set():
    rows = torch.cat([batch_rows(3, 8, step, seed=0) for step in (1, 2, 3)])
    assert torch.bincount(rows).tolist() == [8, 8, 8]


# Adversaries ----------------------------------------------------------------------------------------------------


class Adversaries(Task):
    """A generator against a critic that rests for `warm_up` steps; both draw, and note the order they are asked in."""

    def __init__(self, signal_at: int = 0, warm_up: int = 0):
        torch.manual_seed(0)
        self.networks = {
            "generator": nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(4, 1, 1)),
            "critic": nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 1)),
        }
        self.losses = {"generator": self._generator_loss, "critic": self._critic_loss}
        self.signal_at, self.warm_up, self.asked = signal_at, warm_up, []

    def _fake(self, batch):
        return self.networks["generator"](batch.draws.randn(batch.images.shape))

    def _generator_loss(self, batch):
        self.asked.append(("generator", batch.step))
        if batch.step == self.signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return -self.networks["critic"](self._fake(batch)).mean()

    def _critic_loss(self, batch):
        self.asked.append(("critic", batch.step))
        if batch.step <= self.warm_up:
            return None
        real = self.networks["critic"](batch.images.float() / 255)
        fake = self.networks["critic"](self._fake(batch).detach())
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def probe(self):
        assert not any(network.training for network in self.networks.values())
        return {"brightness": float(self.networks["generator"](torch.ones(1, 1, 4, 4)).mean())}


def test_adversaries_learn_by_turns_each_from_its_own_loss(tmp_path):
    task, before = Adversaries(), {name: n.state_dict() for name, n in Adversaries().networks.items()}
    after = trained(tmp_path, task)
    assert task.asked == [(name, step) for step in range(1, STEPS + 1) for name in ("generator", "critic")]
    for name, state in before.items():
        assert all(not torch.equal(weight, after.weights[name][key]) for key, weight in state.items()), name
    assert [sorted(row) for row in after.history] == [["brightness", "images_seen", "loss", "loss_critic", "step"]] * 3


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_interrupted_adversaries_go_on_bit_identically(tmp_path, ema_decay):
    section = SECTION.model_copy(update={"ema_decay": ema_decay})
    whole = trained(tmp_path / "whole", Adversaries(warm_up=6), section)
    with pytest.raises(Interrupted, match="stopped after step 8"):
        trained(tmp_path / "cut", Adversaries(signal_at=8, warm_up=6), section)
    assert_same(whole, trained(tmp_path / "cut", Adversaries(warm_up=6), section))


def test_a_loss_of_none_leaves_its_network_as_it_is(tmp_path):
    after = trained(tmp_path, Adversaries(warm_up=STEPS))
    assert_same_weights({"critic": Adversaries().networks["critic"].state_dict()}, after.weights)
    assert [row["loss_critic"] for row in after.history] == [0, 0, 0]  # the mean over no step


def test_a_mean_is_over_the_steps_that_had_a_loss(tmp_path):
    """The critic of constant loss 2 rests in every step but the fifth: the mean of the first interval is 2."""

    class Constant(Adversaries):
        def _critic_loss(self, batch):
            return 2 + 0 * self.networks["critic"][0].weight.sum() if batch.step == 5 else None

    assert [row["loss_critic"] for row in trained(tmp_path, Constant()).history] == [2, 0, 0]


def test_only_the_first_network_is_averaged(tmp_path):
    plain = trained(tmp_path / "plain", Adversaries()).weights
    average = trained(tmp_path / "ema", Adversaries(), SECTION.model_copy(update={"ema_decay": 0.99})).weights
    assert_same_weights({"critic": plain["critic"]}, average)
    assert not torch.equal(plain["generator"]["0.weight"], average["generator"]["0.weight"])


def test_the_average_warms_up_and_is_what_the_probe_sees(tmp_path):
    """Weights of EMA by hand: decay min(0.99, (1 + k) / (10 + k)) at step k, counted by diffusers from 0."""
    seen = []

    class Noted(Regression):
        def loss(self, batch):
            seen.append(self.network[0].bias.detach().clone())  # before the step
            return super().loss(batch)

        def probe(self):
            self.probed = self.network[0].bias.detach().clone()
            return {}

    task = Noted()
    trained(tmp_path, task, SECTION.model_copy(update={"ema_decay": 0.99}))
    trained(tmp_path / "plain", plain := Noted())
    states = [*seen[1:STEPS], plain.network[0].bias.detach()]
    average = seen[0]
    for k, weights in enumerate(states):
        decay = 0.0 if k == 0 else min(0.99, (1 + k) / (10 + k))
        average = decay * average + (1 - decay) * weights
    torch.testing.assert_close(task.network[0].bias.detach(), average, atol=1e-6, rtol=1e-5)
    assert torch.equal(task.probed, task.network[0].bias)


# Checks ---------------------------------------------------------------------------------------------------------


class Checked(Regression):
    def check(self, step):
        assert not self.network.training
        return {"kid": float(step)}


def test_checks_are_asked_at_their_steps_alone_and_change_nothing(tmp_path):
    task = Checked()
    checked = trained(tmp_path / "checked", task, check_steps=frozenset({7, 10}))
    assert [(row["step"], row.get("kid")) for row in checked.history] == [(5, None), (7, 7), (10, 10), (14, None)]
    assert_same_weights(checked.weights, trained(tmp_path / "unchecked").weights)


def test_a_loss_that_is_not_finite_ends_in_one_line(tmp_path):
    class Diverging(Adversaries):
        def _critic_loss(self, batch):
            return super()._critic_loss(batch) * (float("nan") if batch.step == 7 else 1)

    with pytest.raises(UserError, match=r"^test: the loss is not finite at step 10: lower learning_rate$"):
        trained(tmp_path, Diverging())
    # What was saved is no obstacle to whoever follows the advice: other settings are another training.
    assert not list(tmp_path.rglob("step*.pt"))


def test_parameters_are_counted():
    assert count_parameters(nn.Linear(3, 4)) == 16
