"""Jobs of augmenters on the CPU, and a signal at a step of their training."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medbench.augmenters.base import Job
from medbench.core.errors import Interrupted
from medbench.system.runtime import Runtime
from medbench.training import loop

RUNTIME = Runtime("cpu", "fp32", 1, False)


def job_in(folder: Path, seed: int = 1, title: str = "train tiny", **given: Any) -> Job:
    """A job whose checkpoints lie in a folder."""
    return Job(seed, 2, folder, {}, RUNTIME, title, **given)


@contextlib.contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """A training within the block gets SIGTERM when it comes to a step, and must end after it."""
    batch_rows = loop.batch_rows

    def rows(n: int, batch_size: int, current: int, seed: int) -> Any:
        if current == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch_rows(n, batch_size, current, seed)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted, match=f"stopped after step {step}"):
        patch.setattr(loop, "batch_rows", rows)
        yield
