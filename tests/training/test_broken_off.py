"""Probes and checks may take minutes: a signal breaks them off, and after the resume they are made again."""

import os
import signal

import pytest
import torch

from medbench.core.errors import Interrupted
from medbench.training.checkpoint import CheckpointStore
from tests.training.test_loop import SECTION, STEPS, Regression, assert_same, trained


class Slow(Regression):
    """Gets a signal in the middle of the probe or the check that follows a step, and notes what it finished."""

    def __init__(self, probe_at: int = -1, check_at: int = -1):
        super().__init__()
        self.probe_at, self.check_at, self.finished = probe_at, check_at, []

    def state(self):
        return {"probes": 0}

    def restore(self, state):
        pass

    def probe(self):
        self._finish("probe", self.calls == self.probe_at)
        return {"eps_mse": float(self.network(torch.ones(1, 1, 4, 4)).sum())}

    def check(self, step):
        self._finish("check", step == self.check_at)
        return {"kid": float(step)}

    def _finish(self, what, signalled):
        self.probes = 0
        if signalled:
            os.kill(os.getpid(), signal.SIGTERM)
        self.finished.append((what, self.calls))


CHECKS = {"check_steps": frozenset({7, STEPS})}


@pytest.mark.parametrize(
    "where", [{"probe_at": 5}, {"check_at": 7}, {"check_at": STEPS}], ids=["probe", "check", "end"]
)
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_probe_or_check_that_was_broken_off_is_made_after_the_resume(tmp_path, where, ema_decay):
    section = SECTION.model_copy(update={"ema_decay": ema_decay})
    whole = trained(tmp_path / "whole", Slow(), section, **CHECKS)
    (step,) = where.values()
    cut = Slow(**where)
    with pytest.raises(Interrupted, match=f"stopped after step {step}; run again"):
        trained(tmp_path / "cut", cut, section, **CHECKS)
    (what,) = where
    assert (what.removesuffix("_at"), step) not in cut.finished
    step_saved, state = CheckpointStore(tmp_path / "cut", "this").latest()
    assert step_saved == step
    assert step not in [row["step"] for row in state["history"]]
    resumed = trained(tmp_path / "cut", Slow(), section, **CHECKS)
    assert resumed.steps == STEPS - step
    assert_same(whole, resumed)


def test_a_signal_in_a_step_is_obeyed_before_the_probe_that_would_follow(tmp_path):
    task = Regression(signal_at=5)
    with pytest.raises(Interrupted, match="stopped after step 5"):
        trained(tmp_path, task)
    assert task.probes == 0
