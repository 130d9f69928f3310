"""A training that was interrupted, in a step, a probe or a check, goes on to the same bytes."""

import os
import signal

import pytest
import torch

from medbench.core.errors import Interrupted
from medbench.training.checkpoint import CheckpointStore
from tests.helpers.tasks import OURS, SECTION, STEPS, Regression, assert_same, trained

EMA = SECTION.model_copy(update={"ema_decay": 0.9})
sections = pytest.mark.parametrize("section", [SECTION, EMA], ids=["plain", "ema"])


@sections
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_and_resumed_is_bit_identical(tmp_path, section, number):
    whole = trained(tmp_path / "whole", section=section)
    with pytest.raises(Interrupted, match="stopped after step 7") as stop:
        trained(tmp_path / "cut", Regression(signal_at=7, signal_number=number), section)
    assert stop.value.signal_number == number
    resumed = trained(tmp_path / "cut", section=section)
    assert (resumed.task.steps, resumed.task.probes) == (STEPS - 7, whole.task.probes)
    assert_same(whole, resumed)


def test_a_damaged_newest_checkpoint_costs_steps_but_no_bit(tmp_path):
    with pytest.raises(Interrupted):
        trained(tmp_path / "cut", Regression(signal_at=7))
    sorted((tmp_path / "cut").iterdir())[-1].write_bytes(b"damaged")
    resumed = trained(tmp_path / "cut")
    assert resumed.task.steps == STEPS - 6  # from the checkpoint of step 6
    assert_same(trained(tmp_path / "whole"), resumed)


class Slow(Regression):
    """Gets a signal in the middle of the probe or the check that follows a step, and notes what it finished."""

    def __init__(self, probe: int = -1, check: int = -1):
        super().__init__()
        self.interrupted, self.finished = {("probe", probe), ("check", check)}, []

    def probe(self):
        self._finish("probe", self.steps)
        return {"eps_mse": float(self.network(torch.ones(1, 1, 4, 4)).sum())}

    def check(self, step):
        self._finish("check", step)
        return {"kid": float(step)}

    def _finish(self, *work):
        if work in self.interrupted:
            os.kill(os.getpid(), signal.SIGTERM)
        self.finished.append(work)


CHECKS = {"check_steps": frozenset({7, STEPS})}


@sections
@pytest.mark.parametrize(("work", "step"), [("probe", 5), ("check", 7), ("check", STEPS)])
def test_a_probe_or_check_that_was_broken_off_is_made_after_the_resume(tmp_path, work, step, section):
    whole = trained(tmp_path / "whole", Slow(), section, **CHECKS)
    cut = Slow(**{work: step})
    with pytest.raises(Interrupted, match=f"stopped after step {step}; run again"):
        trained(tmp_path / "cut", cut, section, **CHECKS)
    assert (work, step) not in cut.finished
    step_saved, state = CheckpointStore(tmp_path / "cut", OURS).latest()
    assert step_saved == step
    assert step not in [row["step"] for row in state["history"]]
    resumed = trained(tmp_path / "cut", Slow(), section, **CHECKS)
    assert resumed.task.steps == STEPS - step
    assert_same(whole, resumed)


def test_a_signal_in_a_step_is_obeyed_before_the_probe_that_would_follow(tmp_path):
    task = Regression(signal_at=5)
    with pytest.raises(Interrupted, match="stopped after step 5"):
        trained(tmp_path, task)
    assert task.probes == 0
